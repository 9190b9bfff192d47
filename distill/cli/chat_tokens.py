"""``/tokens``: an answer token by token, what else the student might have said there, and how far the teacher is."""

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.table import Table
from rich.text import Text

from distill.reports.escaping import shown

if TYPE_CHECKING:
    from distill.export.speaker import Speaker, Turn


def compared(student: "Speaker", teacher: "Speaker") -> str | None:
    """Why the two cannot be compared token by token; None if they can."""
    own, other = student.tokenizer.get_vocab(), teacher.tokenizer.get_vocab()
    if any(other.get(token) != number for token, number in own.items()):
        return "the teacher has other tokens; only their texts can be compared"
    return None


def table(turn: "Turn", log_p: np.ndarray | None, tokenizer: Any, top: int) -> Table:
    """
    Args:
        turn: of the student.
        log_p: (A, V) the teacher's log-probabilities at each token, over the same ids, if there is a teacher.
        tokenizer: of both.
        top: likeliest tokens to show.
    """
    made = Table(caption="probabilities in %; KL(teacher ‖ student) in nats" if log_p is not None else None)
    made.add_column("token")
    made.add_column("%", justify="right")
    made.add_column(f"likeliest {top}", overflow="fold")
    if log_p is not None:
        made.add_column("teacher %", justify="right")
        made.add_column("its likeliest")
        made.add_column("KL", justify="right")
    for place, said in enumerate(turn.said):
        best = np.argsort(-said.log_q)[:top]
        words = "  ".join(f"{_word(tokenizer, token)} {_percent(float(said.log_q[token]))}" for token in best)
        cells = [_word(tokenizer, said.token), _percent(float(said.log_q[said.token])), words]
        if log_p is not None:
            cells += _beside(log_p[place], said.log_q, said.token, tokenizer)
        made.add_row(*(Text(cell) for cell in cells))
    return made


def _beside(log_p: np.ndarray, log_q: np.ndarray, token: int, tokenizer: Any) -> list[str]:
    """The teacher's columns; what only one of the two models knows is left out of both."""
    shared = min(len(log_p), len(log_q))
    log_p, log_q = _again(log_p[:shared]), _again(log_q[:shared])
    p = np.exp(log_p)
    divergence = float(np.where(p > 0, p * (log_p - log_q), 0.0).sum())
    return [_percent(float(log_p[token])), _word(tokenizer, int(log_p.argmax())), f"{divergence:.3f}"]


def _again(log_q: np.ndarray) -> np.ndarray:
    """Normalised over what is left."""
    return log_q - np.logaddexp.reduce(log_q)


def _word(tokenizer: Any, token: int) -> str:
    text = str(tokenizer.decode([int(token)]))
    return shown(text).replace(" ", "␣") or "∅"


def _percent(log_q: float) -> str:
    return f"{100 * math.exp(log_q):.1f}"

"""A conversation as its model's template spells it, and where in that text the assistant speaks.

What stands before an answer is what the template writes when a model is asked (``add_generation_prompt``), so what is
learnt is what will be generated, thinking included: the answer's text and the mark that ends the turn. A template that
writes no end mark gets the tokenizer's behind the last answer. A template that rewrites earlier turns (Qwen 3 forgets
their thinking) makes each answer a sample of its own: the conversation as it was when the answer was given.

Left out on purpose: a template's own ``{% generation %}`` marks, which most templates lack and some misplace.
"""

import json
from collections.abc import Sequence
from typing import Any

from jinja2 import TemplateError
from transformers import PreTrainedTokenizerBase

from distill.data.spelled import Spelled, spells_special
from distill.errors import BadInput

PLAIN = (
    "{% for message in messages %}### {{ message['role'] }}\n{{ message['content'] }}"
    "{% if message['role'] == 'assistant' %}{{ eos_token }}{% endif %}\n{% endfor %}"
    "{% if add_generation_prompt %}### assistant\n{% endif %}"
)
"""For models that were never in a conversation: headings, and the end mark behind every answer."""
SPECIAL = "spells_special_token"
"""Somebody wrote a mark of the template's own, which would be read as the mark."""
UNSPELLED = "template_refuses"
"""The template raised an error: some want user and assistant in turns, or know no system role."""
REWRITTEN = "template_rewrites_the_answer"
"""What the template writes of an answer does not begin with what it asks for one with."""


def thinking_of(tokenizer: PreTrainedTokenizerBase, thinking: bool | None) -> dict[str, bool]:
    """What a template is told about thinking; explicit wherever it makes a difference.

    Raises:
        BadInput: the template can switch it and nobody said how, or it cannot and somebody did.
    """
    switchable = "enable_thinking" in (tokenizer.chat_template or "")
    if switchable and thinking is None:
        reason = "this template writes answers with and without thinking"
        raise BadInput("data.thinking", reason, remedy="say data.thinking=true or data.thinking=false")
    if not switchable and thinking is not None:
        raise BadInput("data.thinking", "this template has no such switch", value=thinking, remedy="data.thinking=null")
    return {} if thinking is None else {"enable_thinking": thinking}


def spelled_chat(
    turns: Sequence[dict[str, Any]],
    tokenizer: PreTrainedTokenizerBase,
    options: dict[str, Any],
    last: bool = False,
) -> list[Spelled] | str:
    """The samples of a conversation, or why it has none.

    Args:
        options: what the template is told beside the turns (thinking, tools).
        last: supervise the last answer alone.
    """
    if any(spells_special(text, tokenizer) for turn in turns for text in _written(turn)):
        return SPECIAL
    answers = [number for number, turn in enumerate(turns) if turn["role"] == "assistant"]
    try:
        found = [_answer(turns, number, tokenizer, options) for number in (answers[-1:] if last else answers)]
    except (TemplateError, ValueError, TypeError, KeyError):
        return UNSPELLED
    if any(one is None for one in found):
        return REWRITTEN
    whole, _ = found[-1]  # type: ignore[misc]
    together = [span for text, span in found if whole.startswith(text)]  # type: ignore[misc]
    alone = [Spelled(text, (span,), templated=True) for text, span in found if not whole.startswith(text)]  # type: ignore[misc]
    return [*alone, Spelled(whole, tuple(together), templated=True)]


def _answer(
    turns: Sequence[dict[str, Any]], number: int, tokenizer: PreTrainedTokenizerBase, options: dict[str, Any]
) -> tuple[str, tuple[int, int]] | None:
    """The text up to the end of an answer, and where the answer stands in it; None if it cannot be told."""
    asked = _rendered(turns[:number], tokenizer, add_generation_prompt=True, **options)
    text = _rendered(turns[: number + 1], tokenizer, **options).rstrip()
    if not text.startswith(asked.rstrip()):
        return None
    begin = min(len(asked), len(text))
    marks = [str(token) for token in tokenizer.added_tokens_decoder.values() if token.special]
    if not any(text.endswith(mark) for mark in (*marks, *tokenizer.all_special_tokens)):
        last = number + 1 == len(turns)
        text += str(tokenizer.eos_token) if last and tokenizer.eos_token else ""
    return text, (begin, len(text))


def _rendered(turns: Sequence[dict[str, Any]], tokenizer: PreTrainedTokenizerBase, **options: Any) -> str:
    return str(tokenizer.apply_chat_template([dict(turn) for turn in turns], tokenize=False, **options))


def _written(turn: dict[str, Any]) -> list[str]:
    """What somebody wrote of a turn, tool calls and reasoning among it."""
    rest = {key: value for key, value in turn.items() if key not in ("role", "content")}
    return [turn["content"], json.dumps(rest, ensure_ascii=False)] if rest else [turn["content"]]

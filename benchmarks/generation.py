"""Tokens a second of what writes here (rollouts, ``distill generate``), beside transformers' ``generate``.

    python benchmarks/generation.py                       # half a minute of one core
    python benchmarks/generation.py --only larger-1 --json OUT.jsonl

Prompts of 8 to 16 tokens, 48 new ones after each, drawn at temperature 1, no end mark, so that both write equally many.
*quickstart*: the quickstart's student, 0.17M parameters, 32 rows; *larger*: 8 layers of width 256, 16 rows and 1. The
floor is the same number of calls of the model's body with its cache and nothing else: no head, no draw. In turns on
one thread after a round that is not counted; a ratio is the median over rounds of two times of the same round.

Left out on purpose: long prompts, whose reading is the same pass for both.
"""

import argparse
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import torch
from torch import Tensor
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedModel

from distill import cached
from distill.rollouts.choices import Own
from distill.rollouts.language import Language
from distill.rollouts.pen import Pen
from distill.rollouts.writing import write
from distill.rows import Row, append

NEW = 48
SETTINGS = {
    "quickstart": (2, 64, 4, 1024, 32),
    "larger": (8, 256, 8, 8192, 16),
    "larger-1": (8, 256, 8, 8192, 1),
}
"""Layers, width, heads, vocabulary, rows."""
LANGUAGE = Language(frozenset())


def model(layers: int, width: int, heads: int, vocabulary: int) -> PreTrainedModel:
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=width,
        intermediate_size=width * 8 // 3,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=None,
        pad_token_id=0,
    )
    return LlamaForCausalLM(config).eval()


def prompts(rows: int, vocabulary: int) -> list[Tensor]:
    chance = torch.Generator().manual_seed(1)
    return [torch.randint(1, vocabulary, (8 + b % 9,), generator=chance) for b in range(rows)]


def ours(one: PreTrainedModel, given: list[Tensor]) -> int:
    uniform = torch.rand(len(given), NEW, 2, dtype=torch.float64)
    return int(write([Pen(one, given, NEW, LANGUAGE)], Own(), uniform, LANGUAGE).lengths.sum())


def theirs(one: PreTrainedModel, given: list[Tensor]) -> int:
    ids, mask = padded(given)
    told = one.generate(ids, attention_mask=mask, max_new_tokens=NEW, do_sample=True, top_k=0)  # type: ignore[operator]
    return (told.shape[1] - ids.shape[1]) * len(given)


def floor(one: PreTrainedModel, given: list[Tensor]) -> int:
    """The body alone, with its cache."""
    ids, mask = padded(given)
    past = None
    for place in range(NEW):
        shown = mask if place == 0 else torch.cat([mask, mask.new_ones(len(given), place)], 1)
        body, again = one.base_model, cached.given(one.base_model, past)
        past = cached.kept(body(input_ids=ids, attention_mask=shown, **again, use_cache=True))
        ids = ids[:, -1:]
    return NEW * len(given)


def padded(given: list[Tensor]) -> tuple[Tensor, Tensor]:
    width = max(map(len, given))
    ids, mask = torch.zeros(2, len(given), width, dtype=torch.long).unbind()
    for b, prompt in enumerate(given):
        ids[b, width - len(prompt) :], mask[b, width - len(prompt) :] = prompt, 1
    return ids, mask


@torch.no_grad()
def speeds(setting: str, rounds: int) -> dict[str, list[float]]:
    """Tokens a second of every round, by who writes."""
    *sizes, rows = SETTINGS[setting]
    one = model(*sizes)
    given = prompts(rows, sizes[-1])
    who: dict[str, Callable[[PreTrainedModel, list[Tensor]], int]] = {"ours": ours, "generate": theirs, "floor": floor}
    found: dict[str, list[float]] = {name: [] for name in who}
    for turn in range(rounds + 1):
        for name, act in who.items():
            began = time.perf_counter()
            count = act(one, given)
            if turn:
                found[name].append(count / (time.perf_counter() - began))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--only", choices=SETTINGS)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(1)
    for setting in [given.only] if given.only else SETTINGS:
        found = speeds(setting, given.rounds)
        rows = [
            Row(f"{setting}/{name}", "tokens_per_second", statistics.median(v), "tokens/s", "none", 0, 0, len(v))
            for name, v in found.items()
        ]
        for other in ("generate", "floor"):
            ratio = statistics.median(a / b for a, b in zip(found["ours"], found[other], strict=True))
            rows.append(Row(f"{setting}/ours", f"speed_over_{other}", ratio, "x", "none", 0, 0, given.rounds))
        for row in rows:
            print(f"{row.subject:<20} {row.metric:<22} {row.value:>12,.2f} {row.unit}")
        if given.json:
            append(given.json, rows)


if __name__ == "__main__":
    main()

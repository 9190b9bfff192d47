"""A model that runs here, as an author: many prompts at once, with a cache; greedy, drawn, or by beam."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor

from distill.errors import BadInput
from distill.models import evaluating
from distill.rollouts.beam import search
from distill.rollouts.choices import Own
from distill.rollouts.language import Language
from distill.rollouts.pen import Pen
from distill.rollouts.scoring import scored
from distill.rollouts.writing import room, write
from distill.teachers.author import Ask, Author, Writing

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


class PenAuthor(Author):
    """Writes with a pen.

    Args:
        model: in any mode.
        tokenizer: its own.
        vocabulary: ids below it mean something.
        name, fingerprint: as in ``Author``.
    """

    judges: ClassVar[bool] = True

    def __init__(
        self,
        model: "PreTrainedModel",
        tokenizer: "PreTrainedTokenizerBase",
        vocabulary: int,
        name: str,
        fingerprint: str,
    ) -> None:
        self.model, self.tokenizer, self.vocabulary = model, tokenizer, vocabulary
        self.name, self.fingerprint = name, fingerprint

    def write(self, prompts: Sequence[str], ask: Ask, seeds: Sequence[int]) -> list[list[Writing]]:
        generation = self.model.generation_config if ask.chat else None
        language = Language.of(self.tokenizer, self.vocabulary, generation)
        with torch.no_grad(), evaluating(self.model):
            given = [self._ids(prompt, ask) for prompt in prompts]
            if ask.beams > 1:
                return self._searched(given, ask, language)
            return self._drawn(given, ask, seeds, language)

    def likelihoods(self, prompts: Sequence[str], texts: Sequence[str], ask: Ask) -> list[tuple[float, int]]:
        """(−log p in nats, tokens) of texts that somebody else wrote."""
        given = [self._ids(prompt, ask) for prompt in prompts]
        rows = [torch.tensor(self.tokenizer(one, split_special_tokens=True, add_special_tokens=False).input_ids).long()
                for one in texts]  # fmt: skip
        with evaluating(self.model):
            nats = scored(self.model, given, rows, self.vocabulary)
        return [(nat, len(row)) for nat, row in zip(nats, rows, strict=True)]

    def _drawn(self, given: list[Tensor], ask: Ask, seeds: Sequence[int], language: Language) -> list[list[Writing]]:
        """All candidates of all prompts as rows of one batch; at temperature 0 they would be one text."""
        copies = ask.candidates if ask.temperature > 0 else 1
        shown = [ids for ids in given for _ in range(copies)]
        length = room([self.model], [shown], ask.new_tokens)
        chances = [torch.Generator().manual_seed(seed) for seed in seeds]
        uniform = [
            torch.rand(ask.new_tokens, 2, dtype=torch.float64, generator=one)[:length]
            for one in chances
            for _ in range(copies)
        ]
        pen = Pen(self.model, shown, length, language)
        draft = write([pen], Own(ask.temperature, ask.top_p), torch.stack(uniform), language)
        rows = [row[:n] for row, n in zip(draft.tokens, draft.lengths.tolist(), strict=True)]
        nats = scored(self.model, shown, rows, self.vocabulary)
        found = [
            Writing(self._text(row, language), len(row), nat, ended)
            for row, nat, ended in zip(rows, nats, draft.ended.tolist(), strict=True)
        ]
        return [found[i : i + copies] for i in range(0, len(found), copies)]

    def _searched(self, given: list[Tensor], ask: Ask, language: Language) -> list[list[Writing]]:
        length = room([self.model], [given], ask.new_tokens)
        pen = Pen(self.model, given, length, language)
        found = search(pen, len(given), ask.beams, length, language.ends, ask.length_power)
        return [
            [Writing(self._text(h.tokens, language), len(h.tokens), -h.log_probability, h.ended) for h in several]
            for several in (one[: ask.candidates] for one in found)
        ]

    def _ids(self, prompt: str, ask: Ask) -> Tensor:
        if not ask.chat:
            begin, end = self.tokenizer.bos_token_id, self.tokenizer.eos_token_id
            ids = self.tokenizer(prompt, split_special_tokens=True).input_ids
            return torch.tensor([begin, *ids] if begin is not None and begin == end else ids or [begin or 0])
        if not self.tokenizer.chat_template:
            reason = "has no chat template"
            raise BadInput(f"teacher {self.name}", reason, remedy="write decoding.chat=false: prompts are continued")
        turns = [{"role": "system", "content": ask.system}] if ask.system else []
        turns.append({"role": "user", "content": prompt})
        text = self.tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
        return torch.tensor(self.tokenizer(str(text), add_special_tokens=False).input_ids)

    def _text(self, row: Tensor, language: Language) -> str:
        ids = [index for index in row.tolist() if index not in language.ends]
        return str(self.tokenizer.decode(ids, skip_special_tokens=True)).strip()

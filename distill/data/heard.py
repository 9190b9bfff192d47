"""How a model hears: sounds as the inputs that its family reads.

``speech``: log-mel spectrograms of one length, as Whisper reads them. ``ctc``: frames of log-mels of which two stand
together, as Wav2Vec2-BERT reads them: a position for each 20 ms, so that the data knows where answers stand.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

RATE = 16_000


@dataclass(frozen=True)
class Ear:
    """Sounds -> tensors.

    Attributes:
        mels: bands of the spectrogram.
        window: seconds that the encoder of a ``speech`` model reads, silence included.
    """

    mels: int = 80
    window: float = 30.0

    @cached_property
    def extractor(self) -> Any:
        """transformers' own, which is saved beside the weights."""
        from transformers import WhisperFeatureExtractor

        made: Any = WhisperFeatureExtractor(feature_size=self.mels)
        made.n_samples = int(self.window * RATE)
        made.nb_max_frames = made.n_samples // made.hop_length
        made.chunk_length = self.window
        return made

    def spectrograms(self, sounds: Sequence[np.ndarray]) -> Tensor:
        """(B, M, frames) of one length, float32."""
        told = self.extractor(list(sounds), sampling_rate=RATE, return_tensors="np", truncation=True)
        return torch.from_numpy(np.ascontiguousarray(told["input_features"], dtype=np.float32))

    def frames(self, sounds: Sequence[np.ndarray]) -> tuple[Tensor, Tensor]:
        """(B, T, 2M) float32, zero behind a sound's end, and (B,) how many frames each has.

        Each sound is scaled by its own mean and deviation a band, as Wav2Vec2-BERT's extractor does it.
        """
        made = [self._pairs(sound) for sound in sounds]
        counts = torch.tensor([len(one) for one in made])
        laid = torch.zeros(len(made), int(counts.max()), 2 * self.mels)
        for row, one in enumerate(made):
            laid[row, : len(one)] = torch.from_numpy(one)
        return laid, counts

    def _pairs(self, sound: np.ndarray) -> np.ndarray:
        """(T, 2M)"""
        whole = self.extractor(sound, sampling_rate=RATE, padding=False, truncation=False, return_tensors="np")
        bands = whole["input_features"][0].T  # (frames, M)
        bands = (bands - bands.mean(0)) / np.sqrt(bands.var(0) + 1e-7)
        even = bands[: len(bands) // 2 * 2]
        return np.ascontiguousarray(even.reshape(-1, 2 * self.mels), dtype=np.float32)

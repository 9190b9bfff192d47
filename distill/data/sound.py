"""Sounds: a file's bytes as samples at one rate, and where a long one is best cut.

Decoded by soundfile (WAV, FLAC, OGG, MP3), mixed down to one channel, resampled by scipy's polyphase filter. Left out
on purpose: video containers, and denoising.
"""

import io
from importlib.util import find_spec
from math import gcd
from pathlib import Path

import numpy as np

from distill.data.source import Decoder
from distill.errors import BadInput

SUFFIXES = (".wav", ".flac", ".ogg", ".mp3")
FRAME = 0.02
"""Seconds over which loudness is measured when a long sound is cut."""


class Sounds(Decoder):
    """Bytes -> (samples,) float32 in [-1, 1] at one rate, one channel.

    Args:
        rate: samples a second.

    Raises:
        BadInput: soundfile or scipy is not installed.
    """

    def __init__(self, rate: int = 16_000) -> None:
        self.rate = rate
        if missing := [name for name in ("soundfile", "scipy") if find_spec(name) is None]:
            remedy = "pip install 'distill-lab[speech]'"
            raise BadInput("data", f"needs {' and '.join(missing)} to read sounds", remedy=remedy)

    def __call__(self, content: bytes) -> np.ndarray:
        import soundfile

        try:
            sound, rate = soundfile.read(io.BytesIO(content), dtype="float32", always_2d=True)  # (samples, channels)
        except soundfile.LibsndfileError as problem:
            raise ValueError(f"no sound that libsndfile knows ({problem.error_string})") from None
        if not len(sound):
            raise ValueError("no samples in it")
        if not np.isfinite(sound).all():
            raise ValueError("samples that are no numbers")
        return resampled(sound.mean(axis=1), rate, self.rate)

    def of(self, content: bytes | Path) -> np.ndarray:
        """The same of a file that lies somewhere."""
        return self(content if isinstance(content, bytes) else content.read_bytes())


def resampled(sound: np.ndarray, rate: int, wanted: int) -> np.ndarray:
    """(samples,) at another rate, float32.

    Source: polyphase filtering with a Kaiser window, ``scipy.signal.resample_poly``.
    """
    if rate == wanted:
        return sound.astype(np.float32)
    from scipy.signal import resample_poly

    common = gcd(rate, wanted)
    return resample_poly(sound, wanted // common, rate // common).astype(np.float32)


def cuts(sound: np.ndarray, rate: int, longest: float, search: float = 5.0) -> list[tuple[int, int]]:
    """(first, behind the last) samples of pieces of at most ``longest`` seconds, cut where it is quietest.

    A piece ends at the quietest moment of the last ``search`` seconds that it may have, so that words are seldom cut;
    the pieces together are the sound.

    Args:
        sound: (samples,)
        rate: samples a second.
        longest, search: seconds.
    """
    room, back, frame = int(longest * rate), int(min(search, longest / 2) * rate), max(int(FRAME * rate), 1)
    found, first = [], 0
    while len(sound) - first > room:
        begin = first + room - back
        window = sound[begin : first + room]
        whole = window[: len(window) // frame * frame].reshape(-1, frame)
        quietest = int((whole.astype(np.float64) ** 2).sum(axis=1).argmin())
        stop = begin + quietest * frame + frame // 2
        found.append((first, stop))
        first = stop
    return [*found, (first, len(sound))]

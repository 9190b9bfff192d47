"""The English prompts of Asterisk: 540 short recordings of one voice, 24 minutes, 8 kHz, with transcripts.

The recordings are Debian's ``asterisk-core-sounds-en-wav``, the transcripts ``asterisk-core-sounds-en`` or a file of
one's own (CC-BY-SA-3.0, voice: Allison Smith). What is no speech ([beep]) is left out and counted.
"""

import gzip
import re
from collections.abc import Iterator
from pathlib import Path

from distill.data.corpus import Tally
from distill.data.source import Item, Source
from distill.errors import BadInput

NO_SPEECH, UNWANTED = "no_speech", "beyond_clips"


class Asterisk(Source):
    """Prompts in the order of their transcripts.

    Args:
        transcripts: ``core-sounds-en.txt.gz``: a line ``name: text`` each.
        sounds: the folder of recordings.
        clips: at most; None takes all. Every n-th is taken, so that all kinds are among them.

    Raises:
        BadInput: one of the two is not there.
    """

    def __init__(self, transcripts: str, sounds: str, clips: int | None = None) -> None:
        self.transcripts, self.sounds, self.clips = Path(transcripts), Path(sounds), clips
        remedy = "apt-get install --no-install-recommends asterisk-core-sounds-en asterisk-core-sounds-en-wav"
        for key, place in (("transcripts", self.transcripts), ("sounds", self.sounds)):
            if not place.exists():
                raise BadInput(f"data.source.{key}", "is not there", value=str(place), remedy=remedy)

    @property
    def name(self) -> str:
        return "Asterisk core sounds, English"

    def items(self, tally: Tally) -> Iterator[Item]:
        with gzip.open(self.transcripts, "rt", encoding="utf-8") as lines:
            told = [line.split(":", 1) for line in lines if not line.startswith(";") and ":" in line]
        spoken = [(name.strip(), text.strip()) for name, text in told]
        tally.rows += len(spoken)
        kept = [pair for pair in spoken if not re.search(r"[\[\]<>()]", pair[1])]
        tally.dropped[NO_SPEECH] += len(spoken) - len(kept)
        step = max(len(kept) // self.clips, 1) if self.clips else 1
        chosen = kept[::step][: self.clips]
        tally.dropped[UNWANTED] += len(kept) - len(chosen)
        for name, text in chosen:
            yield Item(name, self.sounds / f"{name}.wav", {"text": text}, name.split("/")[0] if "/" in name else "")

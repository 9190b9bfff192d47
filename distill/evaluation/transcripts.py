"""What models hear in held-out speech: word error rate, real-time factor, and how a student drafts for its teacher."""

import time
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import torch

from distill.data.heard import RATE
from distill.data.listening import Listener
from distill.data.module import DataModule
from distill.data.sound import cuts
from distill.data.speech import SpeechData
from distill.data.transcribing import never, written
from distill.data.utterances import Uttered, opening
from distill.data.words import character_errors, normalised, word_errors
from distill.evaluation.bootstrap import resampled
from distill.evaluation.drafting import Drafted, speculative
from distill.evaluation.measure import Measured, SampleMeasure, Worked, told_apart
from distill.evaluation.subject import Subject
from distill.ranges import Count, Natural

BATCH = 8


class Transcripts(SampleMeasure):
    """Greedy transcripts against references, by a stated normaliser (``distill/data/words.py``).

    Formula: word_error_rate = (S + D + I) / words of the references; character_error_rate, the same of characters;
        word_errors_to_teacher, the first against the teacher's transcripts; real_time_factor = seconds to transcribe /
        seconds of sound, one at a time, median over sounds, features and encoder included; acceptance_rate = drafted
        tokens that the teacher's greedy text has, over those drafted, ``ahead`` at a time; teacher_passes_saved =
        1 − its passes / its tokens
    Source: Radford et al. 2022, https://arxiv.org/abs/2212.04356 (the normaliser); Leviathan et al. 2023,
        https://arxiv.org/abs/2211.17192 (acceptance).

    Args:
        samples: of the test part at most.
        timed: sounds of the real-time factor.
        drafts: sounds of the acceptance rate; it needs a teacher of the same family and vocabulary.
        ahead: tokens drafted before they are checked.
        shown: transcripts of every subject in the report.

    Sounds longer than the data's window are transcribed in pieces, cut where it is quietest, and told apart as
    ``word_error_rate/long``. Intervals: bootstrap over sounds.
    """

    data_kinds: ClassVar[frozenset[str]] = frozenset({"speech"})

    def __init__(
        self, samples: Count = 200, timed: Natural = 8, drafts: Natural = 16, ahead: Count = 4, shown: Natural = 6
    ) -> None:
        self.samples, self.timed, self.drafts, self.ahead, self.shown = samples, timed, drafts, ahead, shown

    def measure(self, subjects: Sequence[Subject], data: DataModule) -> Worked:
        assert isinstance(data, SpeechData), "data_kinds says so"
        samples = list(data.rows["test"][: self.samples])
        said = {one.name: self._said(one, data, samples) for one in subjects}
        teacher = told_apart(subjects)
        words = said.get("teacher") or [data.told[one.sound] for one in samples if one.sound in data.told]
        theirs = words if samples and len(words) == len(samples) else None
        rows = {name: _scores(told, samples, theirs) for name, told in said.items()}
        for subject in subjects:
            rows[subject.name] += self._long(subject, data)
            if teacher is not None and data.family == "speech":
                rows[subject.name] += self._drafts(teacher, subject, data, samples[: self.drafts])
        for name, factor in self._times(subjects, data, samples[: self.timed]).items():
            rows[name].append(factor)
        texts = [
            {"subject": name, "prompt": one.text, "text": told[i]}
            for i, one in enumerate(samples[: self.shown])
            for name, told in said.items()
        ]
        return Worked(
            rows, texts, {} if data.listener is None else self._listener(data.listener, data, samples, theirs)
        )

    def _listener(
        self, listener: Listener, data: SpeechData, samples: Sequence[Uttered], words: Sequence[str] | None
    ) -> dict[str, list[Measured]]:
        """Of the teacher of a student of frames: it is of another family, and has said what it heard already."""
        if words is None:
            return {}
        taken = []
        for one in samples[: self.timed]:
            begin = time.perf_counter()
            listener.write(data.decode.of(one.content))
            taken.append((time.perf_counter() - begin) / one.seconds)
        return {"teacher": [*_scores(words, samples, words), _factor(taken)]}

    def _said(self, subject: Subject, data: SpeechData, samples: Sequence[Uttered]) -> list[str]:
        found: list[str] = []
        for first in range(0, len(samples), BATCH):
            some = samples[first : first + BATCH]
            if data.family == "ctc":
                found += collapsed(subject, data, some)
            else:
                found += written(subject.model, data, data.collate.heard(some), some, subject.vocabulary)
        return found

    def _long(self, subject: Subject, data: SpeechData) -> list[Measured]:
        if not data.long or data.family == "ctc":
            return []
        told = [transcribed(subject, data, data.decode.of(one.content)) for one in data.long]
        rate = word_errors(told, [one.text for one in data.long])
        return [Measured("word_error_rate/long", rate, "fraction", len(told))]

    def _drafts(
        self, teacher: Subject, subject: Subject, data: SpeechData, samples: Sequence[Uttered]
    ) -> list[Measured]:
        if subject is teacher or not samples:
            return []
        found = [self._drafted(teacher, subject, data, one) for one in samples]
        drafted, tokens = sum(one.drafted for one in found), sum(len(one.ids) + 1 for one in found)
        rate = sum(one.accepted for one in found) / max(drafted, 1)
        saved = 1 - sum(one.passes for one in found) / max(tokens, 1)
        return [
            Measured("acceptance_rate", rate, "fraction", drafted),
            Measured("teacher_passes_saved", saved, "fraction", tokens),
        ]

    def _drafted(self, teacher: Subject, subject: Subject, data: SpeechData, one: Uttered) -> Drafted:
        """The encoder is asked once a model, unless its states are shared."""
        heard = data.collate.heard([one])
        tokenizer = data.prepare()
        first = torch.tensor([opening(tokenizer)], device=subject.model.device)
        end = tokenizer.eos_token_id
        stop = end if isinstance(end, int) else None
        given = {**{name: value.to(subject.model.device) for name, value in heard.items()}, "decoder_input_ids": first}
        left_out = never(teacher.model, -1 if stop is None else stop)
        sizes = (self.ahead, data.sequence_length, stop, subject.vocabulary, left_out)
        return speculative(teacher.model, subject.model, given, *sizes)

    def _times(self, subjects: Sequence[Subject], data: SpeechData, samples: Sequence[Uttered]) -> dict[str, Measured]:
        """Each sound by each subject in turn, so that a busy machine is busy for all of them."""
        taken: dict[str, list[float]] = {one.name: [] for one in subjects}
        for one in samples:
            sound = data.decode.of(one.content)
            for subject in subjects:
                begin = time.perf_counter()
                transcribed(subject, data, sound)
                taken[subject.name].append((time.perf_counter() - begin) / one.seconds)
        return {name: _factor(times) for name, times in taken.items()}


def transcribed(subject: Subject, data: SpeechData, sound: np.ndarray) -> str:
    """A sound of any length, in pieces of the data's window, by the subject's own encoder."""
    if data.family == "ctc":
        frames, counts = data.ear.frames([sound])
        return _of_frames(subject, data, frames, counts)[0]
    told = []
    for first, stop in cuts(sound, RATE, data.ear.window):
        piece = {"input_features": data.ear.spectrograms([sound[first:stop]])}
        told += written(subject.model, data, piece, [data.rows["test"][0]], subject.vocabulary)
    return " ".join(told)


def collapsed(subject: Subject, data: SpeechData, samples: Sequence[Uttered]) -> list[str]:
    """CTC's likeliest labels: repetitions are one, blanks are none."""
    frames, counts = data.ear.frames([data.decode.of(one.content) for one in samples])
    return _of_frames(subject, data, frames, counts)


@torch.no_grad()
def _of_frames(subject: Subject, data: SpeechData, frames: torch.Tensor, counts: torch.Tensor) -> list[str]:
    there = (torch.arange(frames.shape[1]) < counts[:, None]).long()
    device = subject.model.device
    labels = subject.model(input_features=frames.to(device), attention_mask=there.to(device)).logits.argmax(-1).cpu()
    found = []
    for row, count in zip(labels, counts.tolist(), strict=True):
        one = torch.unique_consecutive(row[:count])
        found.append(str(data.prepare().decode(one[one != 0].tolist())).strip())
    return found


def _scores(said: Sequence[str], samples: Sequence[Uttered], teacher: Sequence[str] | None) -> list[Measured]:
    references = [one.text for one in samples]
    exact = np.array([normalised(a) == normalised(b) for a, b in zip(said, references, strict=True)], dtype=float)
    ends = resampled(len(exact), lambda drawn: float(exact[drawn].mean()), 400)
    rows = [_rate("word_error_rate", said, references)]
    rows.append(Measured("character_error_rate", character_errors(said, references), "fraction", len(said)))
    rows.append(Measured("exact_match", float(exact.mean()), "fraction", len(exact), *ends))
    if teacher is not None:
        rows.append(_rate("word_errors_to_teacher", said, teacher))
    return rows


def _factor(times: Sequence[float]) -> Measured:
    return Measured("real_time_factor", float(np.median(times)) if times else float("nan"), "x", len(times))


def _rate(name: str, said: Sequence[str], references: Sequence[str]) -> Measured:
    def of(drawn: np.ndarray) -> float:
        return word_errors([said[int(i)] for i in drawn], [references[int(i)] for i in drawn])

    return Measured(name, word_errors(said, references), "fraction", len(said), *resampled(len(said), of, 100))

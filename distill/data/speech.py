"""Speech with its transcripts, for encoder–decoders such as Whisper and for CTC.

    data = SpeechData(path="recordings/")          # a folder, .jsonl or .parquet: see media.py
    tokenizer = data.prepare(load_tokenizer("openai/whisper-tiny.en"))

distil-whisper's recipe, as far as it is data: with ``pseudo_labels`` the teacher that is met writes the transcripts
that are trained on, and where it strays too far from the reference the sample is dropped and counted; with
``shared_encoder`` what its encoder makes of every sound is computed once, and both decoders read that.

Left out on purpose: timestamps, several languages in one set, augmentation.
"""

import copy
import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from transformers import PreTrainedTokenizerBase

from distill.data.characters import Characters
from distill.data.corpus import Corpus
from distill.data.facts import Facts, SplitFacts
from distill.data.heard import RATE, Ear
from distill.data.media import Folder, Hub
from distill.data.module import DataModule, Saved
from distill.data.prepared import SplitName
from distill.data.sound import SUFFIXES, Sounds
from distill.data.source import Gathered, Source, gathered
from distill.data.split import OUTSIDE_SHARE, split_by_hash
from distill.data.tokenizer import fingerprint
from distill.data.utterances import Collate, Processor, Uttered, opening
from distill.errors import BadInput
from distill.ranges import Count, Fraction, Natural, NonNegative, Positive, Share
from distill.types import Family, Task

if TYPE_CHECKING:
    from distill.data.listening import Listener

LONG, WORDY, STRAYED = "longer_than_window", "longer_than_sequence_length", "word_errors_of_the_teacher"
FORMAT = 1
"""Raised when the same arguments would give other batches than before."""


class SpeechData(DataModule):
    """Sounds and what is said in them.

    Args:
        path: a folder, a .jsonl or a .parquet; ``distill/data/media.py`` says what they hold.
        name: a data set of the hub.
        source: anything else that yields sounds; exactly one of the three is given.
        audio_field: the key or column of the sound.
        text_field: of its transcript.
        subset, split: of the hub's data set.
        family: ``speech``: an encoder–decoder that reads spectrograms (Whisper); ``ctc``: a label for every frame.
        window: seconds that a ``speech`` model's encoder reads. Longer sounds are not trained on; held-out ones are
            transcribed in pieces.
        mels: bands of the spectrogram.
        tokenizer: the node of a recipe, for ctc; null takes the models' own.
        pseudo_labels: train on what the teacher writes.
        word_errors: drop a training sample whose teacher's transcript has a larger word error rate; null drops none.
        shared_encoder: the student's encoder is the teacher's and is not trained: compute its states once.
        share, validation, test: as of text.
        sequence_length: tokens of a transcript at most, marks included.
        batch_size: sounds of a micro-batch on one device.
        seed: of the order of training samples.
        workers: processes that make batches.
        evaluation_tokens: stop validation and test with the sample that reaches this many tokens; None takes all.
        cache: where transcripts and states of a teacher are kept.

    Raises:
        BadInput: not exactly one source, or soundfile is missing.
    """

    kind: ClassVar[str] = "speech"

    def __init__(
        self,
        path: str | None = None,
        name: str | None = None,
        source: Source | None = None,
        audio_field: str = "audio",
        text_field: str = "text",
        subset: str | None = None,
        split: str = "train",
        family: Literal["speech", "ctc"] = "speech",
        window: Positive = 30.0,
        mels: Count = 80,
        tokenizer: Characters | None = None,
        pseudo_labels: bool = False,
        word_errors: NonNegative | None = None,
        shared_encoder: bool = False,
        share: Share = 1.0,
        validation: Fraction = 0.05,
        test: Fraction = 0.1,
        sequence_length: Count = 128,
        batch_size: Count = 8,
        seed: Natural = 0,
        workers: Natural = 0,
        evaluation_tokens: Count | None = None,
        cache: str | None = None,
    ) -> None:
        super().__init__()
        given = [one for one in (path, name, source) if one is not None]
        if len(given) != 1:
            reason = f"{len(given)} sources of speech"
            raise BadInput("data.path, data.name, data.source", reason, remedy="give one: data.path=FOLDER")
        self.cache = None if cache is None else Path(cache).expanduser()
        if path is not None:
            source = Folder(path, audio_field, (text_field,), SUFFIXES)
        elif name is not None:
            source = Hub(name, audio_field, (text_field,), split, subset, self.cache)
        assert source is not None
        self.family: Family = family
        self.source, self.text_field, self.ear, self.recipe = source, text_field, Ear(mels, window), tokenizer
        self.pseudo_labels, self.word_errors, self.shared_encoder = pseudo_labels, word_errors, shared_encoder
        self.fractions, self.share = (validation, test), share
        self.sequence_length, self.batch_size, self.seed, self.workers = sequence_length, batch_size, seed, workers
        self.evaluation_tokens = evaluation_tokens
        self.decode = Sounds(RATE)
        self.rows: Mapping[SplitName, Sequence[Uttered]] = {}
        self.long: list[Uttered] = []
        self.tokenizer: PreTrainedTokenizerBase | None = None
        self.states: Mapping[str, Path] | None = None
        self.dropped: dict[str, int] = {}
        self.listener: Listener | None = None  # of a student of frames
        self.told: Mapping[str, str] = {}  # what it wrote of the test part, by a sound's hash

    # ---------------------------------------------------------------------------------------------------- reading

    @cached_property
    def gathered(self) -> Gathered:
        """All sounds, each decoded once."""
        return gathered(self.source, self.decode, [self.text_field])

    def prepare(self, tokenizer: PreTrainedTokenizerBase | None = None) -> PreTrainedTokenizerBase:
        """Read, split and tokenise. Called again with the same tokenizer or none, it does nothing.

        Raises:
            BadInput: there is neither a tokenizer nor a recipe, or nothing is left to train on.
        """
        if self.tokenizer is not None and (tokenizer is None or tokenizer is self.tokenizer):
            return self.tokenizer
        found = self.gathered
        self.dropped = dict(found.tally.dropped)
        corpus = Corpus(self.source.name, found.documents, found.tally.rows, self.dropped)
        split = split_by_hash(corpus, *self.fractions, self.share)
        chosen = self._chosen(tokenizer, [one.digest for one in split.pool])
        self.tokenizer = chosen
        left = sum(len(found.groups[one.digest]) for one in split.pool if one not in split.train)
        self.dropped |= {OUTSIDE_SHARE: left} if left else {}
        self.long = []
        parts: dict[SplitName, Sequence] = {"train": split.train, "validation": split.validation, "test": split.test}
        self.rows = {name: self._kept(name, [one.digest for one in documents]) for name, documents in parts.items()}
        if not self.rows["train"]:
            raise BadInput(self.source.name, "no training sample is left", remedy="a larger data.window")
        return chosen

    def _chosen(self, tokenizer: PreTrainedTokenizerBase | None, digests: Sequence[bytes]) -> PreTrainedTokenizerBase:
        if tokenizer is not None:
            return tokenizer
        if self.recipe is None:
            reason = "neither a recipe nor a model's own tokenizer"
            raise BadInput("data.tokenizer", reason, remedy="name a model, or a recipe for ctc")
        return self.recipe.build([item.texts[self.text_field] for d in digests for item in self.gathered.groups[d]])

    def _kept(self, name: SplitName, digests: Sequence[bytes]) -> list[Uttered]:
        kept, tokens = [], 0
        limit = self.evaluation_tokens if name != "train" else None
        for digest in digests:
            for item in self.gathered.groups[digest]:
                one = self.uttered(item.content, digest, item.texts[self.text_field], item.place, item.domain)
                if one.seconds > self.ear.window:
                    if name == "test":
                        self.long.append(one)
                    self._drop(LONG)
                elif len(one.target) > self.sequence_length:
                    self._drop(WORDY)
                elif limit is not None and tokens >= limit:
                    self._drop("beyond_evaluation_tokens")
                else:
                    kept.append(one)
                    tokens += len(one.target)
        return kept

    def _drop(self, reason: str) -> None:
        self.dropped[reason] = self.dropped.get(reason, 0) + 1

    def uttered(self, content: bytes | Path, digest: bytes, text: str, place: str = "", domain: str = "") -> Uttered:
        """A sound with the ids of its transcript."""
        tokenizer = self._ready()
        first = opening(tokenizer) if self.family == "speech" else ()
        spoken: Any = tokenizer(f" {text.strip()}" if first else text.strip(), add_special_tokens=False)["input_ids"]
        end = tokenizer.eos_token_id
        target = (*spoken, *((end,) if first and isinstance(end, int) else ()))
        told = hashlib.sha256(json.dumps([digest.hex(), first, target]).encode()).hexdigest()
        seconds = len(self.decode.of(content)) / RATE
        return Uttered(content, first, target, text.strip(), told, digest.hex(), seconds, place, domain)

    def _ready(self) -> PreTrainedTokenizerBase:
        return self.tokenizer if self.tokenizer is not None else self.prepare()

    # --------------------------------------------------------------------------------------------------- its teacher

    def meet(self, teacher: str, place: str) -> None:
        """Let the teacher write the transcripts, and its encoder listen, where the data's keys ask for it."""
        from distill.data.listening import Listener

        if self.family == "ctc":
            self._meet_frames(teacher)
            return
        if not (self.pseudo_labels or self.shared_encoder):
            return

        listener = Listener(teacher, self, self.cache)
        everything = [one for rows in self.rows.values() for one in rows]
        self.states = listener.states(everything)
        if self.pseudo_labels:
            told = listener.transcripts(self.rows["train"], self.states)
            self._relabel(told)
        if not self.shared_encoder:
            self.states = None

    def _meet_frames(self, teacher: str) -> None:
        """Let an encoder-decoder hear the training sounds for a student of frames: its encoder's states go into the
        batches, and with ``pseudo_labels`` what it writes is trained on. It transcribes the test part too, so that the
        student's words can be compared with its own."""
        from distill.data.listening import Listener
        from distill.folders import load_config, load_tokenizer

        heard = copy.copy(self)
        heard.family, heard.tokenizer = "speech", load_tokenizer(teacher)
        places = load_config(teacher).to_dict().get("max_target_positions", self.sequence_length)
        heard.sequence_length = min(self.sequence_length, places - len(opening(heard.tokenizer)))  # its tokens
        self.listener = Listener(teacher, heard, self.cache)
        self.states, told = self.listener.frames(self.rows["train"])
        _, self.told = self.listener.frames(self.rows["test"])
        if self.pseudo_labels:
            self._relabel(told)

    def _relabel(self, told: Mapping[str, str]) -> None:
        from distill.data.words import word_errors

        kept = []
        for one in self.rows["train"]:
            text = told[one.sound]
            if self.word_errors is not None and word_errors([text], [one.text]) > self.word_errors:
                self._drop(STRAYED)
                continue
            kept.append(self.uttered(one.content, bytes.fromhex(one.sound), text, one.place, one.domain))
        if not kept:
            reason = "the teacher strays too far from every transcript"
            raise BadInput("data.word_errors", reason, value=self.word_errors, remedy="a larger one, or null")
        self.rows = {**self.rows, "train": kept}

    @property
    def collate(self) -> Collate:
        return Collate(self.family, self.ear, self.decode, self._padding, self.states)

    @property
    def _padding(self) -> int:
        found = self._ready().pad_token_id
        return found if isinstance(found, int) else 0

    # ---------------------------------------------------------------------------------------------------- the contract

    @property
    def task(self) -> Task:
        start = opening(self._ready())[0] if self.family == "speech" else None
        return Task(self.family, start=start)

    @property
    def processor(self) -> Saved:
        return Processor(self._ready(), self.ear)

    @property
    def facts(self) -> Facts:
        tokenizer = self.prepare()
        told = {name: _split_facts(rows) for name, rows in self.rows.items()}
        source = "; ".join([self.source.name, *self.gathered.lines()])
        return Facts(source, self.gathered.tally.rows, told, dict(self.dropped), len(tokenizer))

    @property
    def fingerprint(self) -> str:
        told = {
            "format": FORMAT,
            "sounds": self.gathered.sha256,
            "family": self.family,
            "ear": [self.ear.mels, self.ear.window],
            "labels": [self.pseudo_labels, self.word_errors, self.shared_encoder],
            "validation, test, share": [*self.fractions, self.share],
            "tokenizer": fingerprint(self._ready()),
            "sequence_length": self.sequence_length,
            "evaluation_tokens": self.evaluation_tokens,
        }
        return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


def _split_facts(rows: Sequence[Uttered]) -> SplitFacts:
    lengths = sorted(len(one.target) for one in rows) or [0]
    return SplitFacts(
        documents=len(rows),
        pieces=len(rows),
        rows=len(rows),
        tokens=sum(lengths),
        bytes=sum(len(one.text.encode()) for one in rows),
        fill=1.0,
        documents_cut=0,
        tokens_truncated=0,
        median_tokens=lengths[len(lengths) // 2],
        longest_tokens=lengths[-1],
    )

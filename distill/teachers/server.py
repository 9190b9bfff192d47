"""A teacher that runs elsewhere: an OpenAI-compatible server that tells log-probabilities of prompts.

Each sample is one question: its token ids, ``max_tokens`` 1 and ``prompt_logprobs`` K. Several are asked at the same
time. Nothing is kept here: ``teacher=stored teacher@teacher.source=server signal@teacher.signal=topk`` asks once, and
goes on where it was stopped.

Left out on purpose: log-probabilities at another temperature than 1 (servers tell raw ones), and chat endpoints, which
tell nothing about a given text.
"""

import hashlib
import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from distill.data.vocabulary import PROBES
from distill.errors import BadInput
from distill.folders import known_ids
from distill.ranges import Count, Natural, Positive
from distill.teachers.author import Ask, Writing
from distill.teachers.heard import entries, likeliest, signal
from distill.teachers.samples import Asked, samples
from distill.teachers.speaking import Speaking
from distill.teachers.spoken_author import SpokenAuthor
from distill.teachers.teacher import Teacher
from distill.teachers.wire import Refused, Wire
from distill.types import Batch, Request, Signal

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

PLACE = "teacher.url"


class Server(Teacher):
    """The K likeliest tokens of a model behind HTTP (vLLM, SGLang, distill serve), with all others in one bucket.

    Formula: p̃ = (p_1, …, p_K, 1 − Σ p_k) at temperature 1

    Args:
        url: of the server, without ``/v1``.
        model: its name there; null for the only one. A store tells teachers apart by name and ``revision``.
        tokenizer: folder or hub id of its tokenizer, which the student takes; null: the server's ``/tokenize`` is
            compared with the student's.
        k: tokens told of each position; servers have a cap (vLLM: ``--max-logprobs``, 20).
        timeout: seconds that the server may be silent.
        retries: further tries of a question.
        pause: seconds before the second try; doubled each time.
        concurrency: questions at the same time.
        requests_per_second: over all of them; null for no limit.
        key_variable: the environment variable with the server's key; null for none.
        revision: anything that changes when the served model does; a name alone does not.

    Raises:
        BadInput: the address cannot be used.
    """

    provides: ClassVar[frozenset[str]] = frozenset({"topk"})
    temperature: ClassVar[float] = 1.0

    def __init__(
        self,
        url: str,
        model: str | None = None,
        tokenizer: str | None = None,
        k: Count = 20,
        timeout: Positive = 60.0,
        retries: Natural = 5,
        pause: Positive = 0.5,
        concurrency: Count = 4,
        requests_per_second: Positive | None = None,
        key_variable: str | None = None,
        revision: str | None = None,
    ) -> None:
        self.wire = Wire(PLACE, url, timeout, retries, pause, requests_per_second, key_variable)
        self._given, self.place, self.k, self.revision = model, tokenizer, k, revision
        self.pool = ThreadPoolExecutor(concurrency, thread_name_prefix="asking")
        self.tokenizer: PreTrainedTokenizerBase | None = None
        self._compared = True

    # ------------------------------------------------------------------------------------------------ before a question

    @cached_property
    def name(self) -> str:
        """Of the model there."""
        if self._given is not None:
            return self._given
        told = self.wire.ask("/v1/models")
        data = told.get("data") if isinstance(told, dict) else None
        names = [one.get("id") for one in data if isinstance(one, dict)] if isinstance(data, list) else []
        if len(names) != 1 or not isinstance(names[0], str):
            shown = ", ".join(map(str, names)) or "none"
            raise BadInput("teacher.model", f"the server has not one model but {shown}", remedy="name one of them")
        return names[0]

    @property
    def fingerprint(self) -> str:
        """Of its name and revision: nobody can see its weights from here."""
        return hashlib.sha256(json.dumps(["served", self.name, self.revision]).encode()).hexdigest()

    @property
    def notes(self) -> tuple[str, ...]:
        bound = (
            f"the teacher tells its {self.k} likeliest tokens and one bucket: a divergence is a lower bound of itself"
        )
        unseen = (
            () if self._compared else ("the server has no /tokenize: that its tokens are the student's is believed",)
        )
        return (bound, f"the teacher is {self.name} at {self.wire.url}", *unseen)

    def read_with(self, tokenizer: "PreTrainedTokenizerBase") -> None:
        self.tokenizer = tokenizer
        self.vocabulary = known_ids(tokenizer)

    def share(self, vocabulary: int) -> None:
        self.vocabulary = vocabulary

    def ready(self) -> None:
        """One question, and the same texts tokenised on both sides: what will not work is told before a run begins."""
        assert self.greeted

    @cached_property
    def greeted(self) -> bool:
        self._compare_tokens()
        self._ask([0, 0])
        return True

    def _compare_tokens(self) -> None:
        if self.tokenizer is None:
            return
        for probe in PROBES:
            body = {"model": self.name, "prompt": probe, "add_special_tokens": False}
            try:
                told = self.wire.ask("/tokenize", body)
            except Refused as refusal:
                if refusal.status != 404:
                    raise
                self._compared = False
                return
            theirs = told.get("tokens") if isinstance(told, dict) else None
            if theirs != self.tokenizer(probe, add_special_tokens=False)["input_ids"]:
                reason = "the served model cuts a text into other tokens than the student"
                remedy = "teacher.tokenizer=FOLDER_OR_HUB_ID of the served model; the student then takes it"
                raise BadInput("teacher.tokenizer", reason, remedy=remedy)

    def author(self) -> SpokenAuthor:
        """The same model writes, and tells how likely what it wrote is."""
        speaking = Speaking(self.wire, self.pool, told=True)

        def speak(prompts: Sequence[str], ask: Ask, seeds: Sequence[int]) -> list[Writing]:
            return speaking(prompts, ask, seeds, {"model": self.name})

        return SpokenAuthor(speak, f"{self.name} at {self.wire.url}", PLACE, tells=True, version=self.fingerprint)

    # -------------------------------------------------------------------------------------------------------- questions

    def teach(self, batch: Batch, request: Request) -> Signal:
        if request != Request():
            reason = "a server tells log-probabilities, no layers, attention weights or outputs of modules"
            raise BadInput("teacher", reason, remedy="use a teacher that runs here (teacher=live)")
        assert self.greeted
        asked = list(samples(batch))
        ids = batch.teacher_inputs["input_ids"].cpu().flatten().tolist()
        positions = batch.teacher_positions.cpu().tolist()
        targets = (batch.targets if batch.spans is None else batch.spans.teacher_targets).cpu().tolist()
        questions = [_question(one, ids, positions, targets) for one in asked]
        self.passes += 1
        rows = []
        for one, prompt, told in zip(asked, questions, self.pool.map(self._ask, questions), strict=True):
            for position in positions[one.span.start : one.span.stop]:
                place = position - one.begin + 1
                rows.append(likeliest(told[place], prompt[place], self.k, self.vocabulary, PLACE))
        return signal(rows, self.vocabulary, batch.teacher_positions.device)

    def _ask(self, prompt: Sequence[int]) -> list[Any]:
        """The entry of every token of a prompt."""
        wanted = {"max_tokens": 1, "temperature": 0, "prompt_logprobs": self.k, "return_tokens_as_token_ids": True}
        try:
            answer = self.wire.ask("/v1/completions", {"model": self.name, "prompt": list(prompt), **wanted})
        except Refused as refusal:
            if "greater than max allowed" not in refusal.said:
                raise
            remedy = f"start it with --max-logprobs {self.k} (distill serve: max_logprobs={self.k}), or lower teacher.k"
            raise BadInput("teacher.k", refusal.said, value=self.k, remedy=remedy) from None
        return entries(answer, [prompt], PLACE)[0]


def _question(one: Asked, ids: Sequence[int], positions: Sequence[int], targets: Sequence[int]) -> list[int]:
    """A sample's ids up to its last supervised position, and the token that comes there: what the server tells of it is
    the distribution that is wanted."""
    last = positions[one.span.stop - 1]
    return [*ids[one.begin : last + 1], targets[one.span.stop - 1]]

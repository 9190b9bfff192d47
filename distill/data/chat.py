"""Conversations for causal language models, through the model's own template; plain prompts and completions too.

    data = ChatData(path="conversations.jsonl", tokenizer=None)
    data.prepare(load_tokenizer("org/model"))

Only what the assistant says is learnt, its end mark among it. Left out on purpose: a teacher with another tokenizer,
whose template would be another conversation.
"""

import json
from functools import cached_property
from pathlib import Path
from typing import ClassVar, Literal

from transformers import PreTrainedTokenizerBase

from distill.data.answers import AnswerData, Shape
from distill.data.conversation import Fields, told
from distill.data.corpus import Corpus, Document, Tally, gather
from distill.data.domains import Domains
from distill.data.mixture import Mixture
from distill.data.records import of_files, of_hub
from distill.data.spelled import Spelled
from distill.data.template import PLAIN, spelled_chat, thinking_of
from distill.data.tokenizer import TrainedBPE
from distill.errors import BadInput
from distill.ranges import Count, Fraction, Natural, Share


class ChatData(AnswerData):
    """Conversations, of which the assistant's turns are learnt, and pairs, of which the completion is.

    Args:
        path: a .jsonl (.gz, .xz) or .parquet of the user's, or a folder of them.
        name: a data set of the hub, or a folder that ``datasets`` reads.
        field: the list of turns in a record.
        prompt, completion: the two texts of a record that has no turns.
        subset, split: of the hub's data set.
        template: null takes the model's own; ``plain`` for models without one; or a file with a jinja template.
        thinking: whether answers are written with thinking, for templates that can switch it; null for the others.
        learn: ``all`` answers of a conversation, or the ``last`` alone.
        tokenizer: a recipe to train one, with ``template: plain``; null takes a model's own.
        share, validation, test: fractions of the records, as in ``TextData``.
        sequence_length: tokens of a sample at most; longer ones lose their ends, which is counted.
        truncated: stop if a larger fraction of the samples is longer.
        batch_size: rows of a micro-batch on one device.
        packing: several samples in a row, which do not see each other.
        seed: of the order of training rows.
        workers: processes that make batches; 0 makes them in this one.
        evaluation_tokens: stop validation and test with the record that reaches this many learnt tokens.
        mixture: how often each domain is seen.
        domain_weights: of a domain's tokens in every loss.
        train_domains: train on these alone.
        cache: a folder for a trained tokenizer.

    Raises:
        BadInput: there is no source, or there are two.
    """

    kind: ClassVar[str] = "chat"
    templated: ClassVar[bool] = True

    def __init__(
        self,
        path: str | None = None,
        name: str | None = None,
        field: str = "messages",
        prompt: str = "prompt",
        completion: str = "completion",
        subset: str | None = None,
        split: str = "train",
        template: str | None = None,
        thinking: bool | None = None,
        learn: Literal["all", "last"] = "all",
        tokenizer: TrainedBPE | None = None,
        share: Share = 1.0,
        validation: Fraction = 0.05,
        test: Fraction = 0.05,
        sequence_length: Count = 512,
        truncated: Fraction = 0.05,
        batch_size: Count = 8,
        packing: bool = True,
        seed: Natural = 0,
        workers: Natural = 0,
        evaluation_tokens: Count | None = None,
        mixture: Mixture | None = None,
        domain_weights: dict[str, float] | None = None,
        train_domains: list[str] | None = None,
        cache: str | None = None,
    ) -> None:
        shape = Shape(share, validation, test, sequence_length, batch_size, packing, seed, workers,
                      evaluation_tokens, truncated, Domains(mixture, domain_weights or {}, train_domains))  # fmt: skip
        super().__init__(shape, tokenizer, cache)
        if (path is None) == (name is None):
            given = None if path is None else f"{path}, {name}"
            raise BadInput("data.path, data.name", "one source of conversations is needed", value=given)
        self.path, self.name, self.subset, self.split = path, name, subset, split
        self.fields = Fields(field, prompt, completion)
        self.template, self.thinking, self.learn = template, thinking, learn
        self._options: dict[str, bool] = {}

    @cached_property
    def corpus(self) -> Corpus:
        tally = Tally()
        if self.path is not None:
            place = Path(self.path).expanduser()
            return gather(str(place), told(of_files(place, tally), self.fields, tally), tally)
        assert self.name is not None
        records = of_hub(self.name, self.split, self.subset, self.cache, tally)
        return gather(f"{self.name} ({self.split})", told(records, self.fields, tally), tally)

    def ready(self, tokenizer: PreTrainedTokenizerBase) -> PreTrainedTokenizerBase:
        if not any('"messages"' in document.text[:12] for document in self.corpus.documents):
            return tokenizer
        if self.template is not None:
            tokenizer.chat_template = _template(self.template)
        if not tokenizer.chat_template:
            reason = "this model has no chat template"
            raise BadInput("data.template", reason, remedy="data.template=plain, or a file with a jinja template")
        self._options = thinking_of(tokenizer, self.thinking)
        return tokenizer

    def spelled(self, document: Document, training: bool) -> list[Spelled] | str:
        record = json.loads(document.text)
        if "prompt" in record:
            text = record["prompt"] + record["completion"]
            return [Spelled(text, ((len(record["prompt"]), len(text)),))]
        assert self.tokenizer is not None, "samples are spelled once there is a tokenizer"
        options = {**self._options, **({"tools": record["tools"]} if "tools" in record else {})}
        return spelled_chat(record["messages"], self.tokenizer, options, last=self.learn == "last")

    def whole(self, document: Document) -> str:
        record = json.loads(document.text)
        said = [turn["content"] for turn in record.get("messages", ())]
        return "\n".join(said) if said else record["prompt"] + record["completion"]

    def told(self) -> list[object]:
        return [self.thinking, self.learn]


def _template(named: str) -> str:
    if named == "plain":
        return PLAIN
    try:
        return Path(named).expanduser().read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as problem:
        reason = f"cannot be read ({type(problem).__name__})"
        raise BadInput("data.template", reason, value=named, remedy="name a file, or plain") from problem

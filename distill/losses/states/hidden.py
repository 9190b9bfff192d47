"""How far the states of a student's layers are from those of the teacher's: by value, by direction, or normalised.

Left out on purpose: the authors' restriction to one token of a sentence ([CLS]); a language model has a state at every
supervised token, and each counts.
"""

from typing import ClassVar

from torch import Tensor

from distill.losses.quantity import Quantity
from distill.losses.states.compared import Compared, directions, wide
from distill.losses.states.layered import Projected, StateMap
from distill.losses.states.projection import Project, projection
from distill.types import Batch, ModelShape, Outputs, Request


class MeanSquare(Projected):
    """Mean squared difference between states, the student's brought to the teacher's width.

    Formula: Σ_pairs ‖h_student W − h_teacher‖² / D
    Source: Jiao et al. (2020). TinyBERT: Distilling BERT for Natural Language Understanding. arXiv:1909.10351
    Source: Romero et al. (2015). FitNets: Hints for Thin Deep Nets. arXiv:1412.6550

    Args:
        weight: in the objective's total.
        layers: which answer to which.
        project: how the widths are brought together.
        shared: one W for all pairs, as TinyBERT has it; else one each.

    TinyBERT's code has a bias in W and projects its embeddings by the same W; here the embedding loss has its own.
    """

    unit = "1/token"

    def distance(self, student: Tensor, teacher: Tensor) -> Tensor:
        return (student - teacher).square().mean(-1)


class Cosine(Projected):
    """One minus the cosine between states: their direction counts, not their length.

    Formula: Σ_pairs (1 − cos(h_student W, h_teacher))
    Source: Sanh, Debut, Chaumond, Wolf (2019). DistilBERT, a distilled version of BERT: smaller, faster, cheaper and
        lighter. arXiv:1910.01108

    Args:
        weight: in the objective's total.
        layers: which answer to which; DistilBERT compares the final states only.
        project: how the widths are brought together; DistilBERT's are equal.
        shared: one W for all pairs; else one each.
    """

    unit = "1/token"

    def __init__(
        self,
        weight: float | Quantity = 1.0,
        layers: StateMap = "final",
        project: Project = "auto",
        shared: bool = True,
    ) -> None:
        super().__init__(weight, layers, project, shared)

    def distance(self, student: Tensor, teacher: Tensor) -> Tensor:
        return 1 - (directions(student) * directions(teacher)).sum(-1)


class Patient(Projected):
    """Squared distance between states of length 1 (patient distillation): scaling a state changes nothing.

    Formula: Σ_pairs ‖h_student W / ‖h_student W‖ − h_teacher / ‖h_teacher‖‖²
    Source: Sun, Cheng, Gan, Liu (2019). Patient Knowledge Distillation for BERT Model Compression. arXiv:1908.09355

    Args:
        weight: in the objective's total.
        layers: which answer to which; the paper's are ``skip`` and ``last``.
        project: how the widths are brought together; the paper's are equal.
        shared: one W for all pairs; else one each.

    The authors' code averages over all elements (1/D of the paper's value, and 1/pairs) and casts the loss to half
    precision; here it is the paper's sum.
    """

    unit = "1/token"

    def __init__(
        self,
        weight: float | Quantity = 1.0,
        layers: StateMap = "skip",
        project: Project = "auto",
        shared: bool = True,
    ) -> None:
        super().__init__(weight, layers, project, shared)

    def distance(self, student: Tensor, teacher: Tensor) -> Tensor:
        gap = directions(student) - directions(teacher)
        return gap.square().sum(-1)


class Embedding(Compared):
    """Mean squared difference between what the two models' embeddings give for the same token.

    Formula: ‖e_student W − e_teacher‖² / D
    Source: Jiao et al. (2020). TinyBERT: Distilling BERT for Natural Language Understanding. arXiv:1909.10351

    Args:
        weight: in the objective's total.
        project: how the widths are brought together.

    What the first layer is given: with learned positions they are in it, with rotary ones they are not.
    """

    unit = "1/token"
    needs: ClassVar[frozenset[str]] = frozenset({"hidden", "layers"})

    def __init__(self, weight: float | Quantity = 1.0, project: Project = "auto") -> None:
        super().__init__(weight)
        self.project = project

    @property
    def request(self) -> Request:
        return Request(layers=True)

    def prepare(self, student: ModelShape, teacher: ModelShape | None) -> None:
        if teacher is not None:
            self.projection = projection(self.project, student.width, teacher.width)

    def per_token(self, student: Outputs, teacher: Outputs, batch: Batch) -> Tensor:
        projected = wide(self.projection(wide(student.layers[0])))  # (N, D of the teacher)
        return (projected - wide(teacher.layers[0]).detach()).square().mean(-1)

"""A student whose head is a product of two thin matrices: at these sizes the vocabulary is most of a model."""

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize
from transformers import PreTrainedModel

from distill.errors import BadInput
from distill.ranges import Count
from distill.students.around import Around
from distill.students.student import Student


class LowRankHead(Around):
    """Any student with a head of rank r, from the best approximation of the head it has; untied from its embedding.

    Formula: W = U V with U (V, r), V (r, D); at the start the truncated singular value decomposition of W
    Source: Sainath et al. 2013, Low-Rank Matrix Factorization for Deep Neural Network Training with High-Dimensional
        Output Targets, https://doi.org/10.1109/ICASSP.2013.6638949; Eckart and Young 1936 (the truncation is the best).

    The trained student's folder holds the product, which any loader reads; ``export=onnx export.head_rank=r`` takes it
    apart again, exactly, and writes the two thin matrices.

    Args:
        source: the student.
        rank: r, at most the width of a state.
    """

    def __init__(self, source: Student, rank: Count = 32) -> None:
        super().__init__(source)
        self.rank = rank

    def changed(self, model: PreTrainedModel) -> PreTrainedModel:
        output = model.get_output_embeddings()
        if not isinstance(output, nn.Linear):
            raise BadInput("student", "has no linear head over a vocabulary", value=model.config.model_type)
        if self.rank > min(output.weight.shape):
            largest = min(output.weight.shape)
            raise BadInput("student.rank", f"the head's own rank is at most {largest}", value=self.rank)
        if output.weight is model.get_input_embeddings().weight:
            output.weight = nn.Parameter(output.weight.detach().clone())
            model.config.tie_word_embeddings = False
        parametrize.register_parametrization(output, "weight", Product(self.rank))
        return model


class Product(nn.Module):
    """A parametrisation of a matrix by two."""

    def __init__(self, rank: int) -> None:
        super().__init__()
        self.rank = rank

    def forward(self, tall: Tensor, wide: Tensor) -> Tensor:
        return tall @ wide  # (V, D)

    def right_inverse(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        return halves(weight, self.rank)


def halves(weight: Tensor, rank: int) -> tuple[Tensor, Tensor]:
    """(V, D) -> (V, r), (r, D) whose product is the nearest of that rank; the singular values are shared equally."""
    left, values, right = torch.linalg.svd(weight.detach().float(), full_matrices=False)
    root = values[:rank].sqrt()
    return (left[:, :rank] * root).to(weight.dtype), (root[:, None] * right[:rank]).to(weight.dtype)

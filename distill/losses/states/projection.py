"""From the width of one model to that of another: learned with the student, thrown away with the loss.

It belongs to the loss: it is optimised and checkpointed with the objective, and no exported student knows of it.
"""

from typing import Literal

from torch import Tensor, nn

from distill.errors import BadInput

Project = Literal["auto", "linear", "none"]
"""``auto`` projects only where the widths differ."""


class Projection(nn.Module):
    """A linear map without a bias, orthogonal at the start: states keep their lengths and angles if it widens.

    Formula: h W, W of size (D, D')
    Source: Romero et al. (2015). FitNets: Hints for Thin Deep Nets. arXiv:1412.6550

    Drawn from torch's global generator, which the caller seeds.
    """

    def __init__(self, width: int, to: int) -> None:
        super().__init__()
        self.linear = nn.Linear(width, to, bias=False)
        nn.init.orthogonal_(self.linear.weight)

    def forward(self, states: Tensor) -> Tensor:
        """(…, D) -> (…, D')."""
        return self.linear(states.to(self.linear.weight.dtype))


def projection(project: str, width: int, to: int) -> nn.Module:
    """As ``project`` says; the identity where nothing is projected.

    Raises:
        BadInput: the widths differ and none was asked for.
    """
    if project == "linear" or (project == "auto" and width != to):
        return Projection(width, to)
    if width != to:
        reason = f"the student's states are {width} wide, the teacher's {to}"
        raise BadInput("project", reason, value=project, remedy="write project=auto")
    return nn.Identity()

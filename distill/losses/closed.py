"""What a loss says of itself so that the compiled row kernel can do its work: a sum of terms that the kernel knows."""

from dataclasses import dataclass

from distill.divergences.closed_form import ClosedForm


@dataclass(frozen=True)
class Closed:
    """scale · (a KL(p ‖ q) + b KL(q ‖ p) + c JSD_β(p, q)) at a temperature, or −log q(y) at temperature 1.

    Attributes:
        form: a, b, c and β; None for the cross-entropy.
        temperature: T of both sides.
        scale: T², or 1.
    """

    form: ClosedForm | None = None
    temperature: float = 1.0
    scale: float = 1.0

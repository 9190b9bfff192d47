"""Sequence-level interpolation: of the candidates, the one nearest to what people wrote."""

from collections.abc import Sequence

from distill.errors import BadInput
from distill.generation.candidate import Candidate
from distill.generation.picks.pick import Pick


class Closest(Pick):
    """The candidate with the highest sentence BLEU against the reference (the extra ``eval``).

    Formula: argmax over the K best of p of BLEU(y, reference), smoothed as sacrebleu's sentence BLEU does
    Source: Kim & Rush (2016). Sequence-Level Knowledge Distillation. arXiv:1606.07947, section 3.3 (Seq-Inter)

    The paper decodes K = 35 by beam: ``decoding=n_best pick=closest``. A prompt without a reference gives its first.

    Raises:
        BadInput: sacrebleu is not installed.
    """

    def __init__(self) -> None:
        try:
            from sacrebleu import sentence_bleu
        except ImportError:
            reason = "sacrebleu is not installed"
            raise BadInput("pick", reason, remedy="pip install 'distill-lab[eval]'") from None
        self._bleu = sentence_bleu

    def picks(self, group: Sequence[Candidate]) -> list[Candidate]:
        scores = [self._bleu(one.text, [one.reference]).score if one.reference else 0.0 for one in group]
        return [group[scores.index(max(scores))]]

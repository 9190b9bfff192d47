"""The measures of a text once more for groups of its tokens: by place, by kind, by whatever a subclass can name.

Left out on purpose: groups that depend on a subject's answers (its confidence, its entropy). They would put different
tokens into one row of a table.
"""

from abc import abstractmethod
from collections.abc import Sequence

from torch import Tensor

from distill.divergences.jensen_shannon import jensen_shannon
from distill.divergences.kl import forward_kl
from distill.evaluation.bootstrap import SampleMean
from distill.evaluation.measure import Measured, TokenMeasure, Tokens
from distill.evaluation.resemblance import spearman

UNITS = {
    "nats_per_token": "nats/token",
    "kl_to_teacher": "nats/token",
    "jsd_to_teacher": "nats/token",
    "top1_agreement": "fraction",
    "topk_overlap_to_teacher": "fraction",
    "rank_correlation_to_teacher": "fraction",
}


class Grouped(TokenMeasure):
    """Per group: share and likelihood of its tokens and, with a teacher, divergences, agreement and rank correlation.

    Rows are named ``<prefix>/<group>/<metric>``; a group without a token has no row. The names are those of the whole
    text (``agreement``, ``resemblance``) and mean the same.

    Attributes:
        prefix: of the rows.
        top: likeliest tokens of the teacher whose overlap and order are compared.
    """

    prefix: str
    top: int

    def __init__(self) -> None:
        self.means: dict[tuple[int, str], SampleMean] = {}

    @property
    @abstractmethod
    def names(self) -> Sequence[str]:
        """Of the groups, in order."""

    @abstractmethod
    def group(self, tokens: Tokens) -> Tensor:
        """(C,) int64 the group of each token, counted from 0."""

    def update(self, tokens: Tokens) -> None:
        place = self.group(tokens)  # (C,)
        for metric, values in compared(tokens, self.top).items():
            for number in place.unique().tolist():
                here = place == number
                self.means.setdefault((number, metric), SampleMean()).add(values[here], tokens.drawn[here])

    def rows(self) -> list[Measured]:
        whole = sum(mean.n for (_, metric), mean in self.means.items() if metric == "nats_per_token")
        found = []
        for number, group in enumerate(self.names):
            for metric, unit in UNITS.items():
                mean = self.means.get((number, metric))
                if mean is None:
                    continue
                if metric == "nats_per_token":
                    found.append(Measured(f"{self.prefix}/{group}/share", mean.n / whole, "fraction", mean.n))
                name = metric.replace("topk", f"top{self.top}")
                found.append(Measured(f"{self.prefix}/{group}/{name}", mean.value, unit, mean.n, *mean.interval()))
        return found


def compared(tokens: Tokens, top: int) -> dict[str, Tensor]:
    """(C,) values by metric; those of the teacher where there is one."""
    told = {"nats_per_token": tokens.nats}
    if tokens.log_p is None:
        return told
    log_p, log_q = tokens.log_p, tokens.log_q
    count = min(top, log_p.shape[-1])
    best, theirs = (one.topk(count, dim=-1).indices for one in (log_p, log_q))  # (C, K)
    told |= {
        "kl_to_teacher": forward_kl(log_p, log_q),
        "jsd_to_teacher": jensen_shannon(log_p, log_q, 0.5),
        "top1_agreement": (best[:, 0] == theirs[:, 0]).double(),
        "topk_overlap_to_teacher": (best[:, :, None] == theirs[:, None, :]).any(-1).double().mean(-1),
    }
    if count > 1:
        told["rank_correlation_to_teacher"] = spearman(log_p.gather(1, best), log_q.gather(1, best))
    return told

"""The rows of docs/conventions.md against the packages they speak of, where those are installed."""

import os

import pytest
import torch
from torch.nn import functional

from distill.losses.cross_entropy import CrossEntropy
from distill.losses.objective import Objective
from tests.losses.naive_pass import CONF, Scene, close, composed, gradients, run

os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")


def installed(module: str):
    return pytest.importorskip(module, reason=f"{module} is not installed", exc_type=ImportError)


def scene_and_logits(tokens: int = 9) -> tuple[Scene, torch.Tensor]:
    scene = Scene(tokens=tokens, dtype=torch.float32)
    return scene, scene.head.logits(scene.hidden)


def same(name: str, overrides: list[str], scene: Scene, theirs: torch.Tensor, temperature: float = 1.0) -> None:
    """Our loss, summed, equals theirs, in value and gradient."""
    ours = run(Objective({"kd": composed("loss", name, overrides)}, temperature=temperature), scene).total
    close([ours.detach()], [theirs.detach()], 1e-5)
    close(gradients(ours, scene.leaves), gradients(theirs, scene.leaves), 1e-4)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("temperature", [1.0, 2.0])
@pytest.mark.parametrize(
    ("beta", "name", "overrides"),
    [
        (0.0, "forward_kl", []),
        (0.1, "jensen_shannon", ["loss.divergence.teacher_weight=0.1"]),
        (0.9, "jensen_shannon", ["loss.divergence.teacher_weight=0.9"]),
        (1.0, "reverse_kl", []),
    ],
)
def test_trl(beta, name, overrides, temperature):
    theirs = installed("trl.experimental.gkd.gkd_trainer").GKDTrainer.generalized_jsd_loss
    scene, logits = scene_and_logits()
    total = theirs(logits[None], scene.teacher[None], beta=beta, temperature=temperature, reduction="sum")
    same(name, [*overrides, "loss.temperature_squared=false"], scene, total, temperature)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("beta", "name", "overrides"),
    [
        (0.0, "forward_kl", []),
        (0.3, "jensen_shannon", ["loss.divergence.teacher_weight=0.3"]),
        (1.0, "reverse_kl", []),
    ],
)
def test_liger(beta, name, overrides):
    module = installed("liger_kernel.chunked_loss.jsd_loss")
    scene = Scene(tokens=9, dtype=torch.float32)
    teacher_weight = torch.eye(scene.vocabulary)
    theirs = module.LigerFusedLinearJSDLoss(
        weight_hard_loss=0.25, weight_soft_loss=0.75, beta=beta, temperature=2.0, compiled=False, chunk_size=4
    )
    mean = theirs(scene.hidden, scene.weight, scene.teacher, teacher_weight, scene.batch.targets)
    kd = composed("loss", name, [*overrides, "loss.temperature_squared=false", "loss.weight=0.75"])
    ours = run(Objective({"kd": kd, "ce": CrossEntropy(0.25)}, temperature=2.0), scene).total / scene.tokens
    close([ours.detach()], [mean.detach()], 1e-5)
    close(gradients(ours, scene.leaves), gradients(mean, scene.leaves), 1e-4)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("theirs", "name", "numbers"),
    [
        ("ForwardKLLoss", "soft_cross_entropy", {}),
        ("ReverseKLLoss", "reverse_kl", {}),
        ("SymmetricKLLoss", "symmetric_kl", {"sym_kd_ratio": 0.3}),
    ],
)
def test_torchtune(theirs, name, numbers):
    module = installed("torchtune.modules.loss.kd_losses")
    scene, logits = scene_and_logits()
    total = getattr(module, theirs)(**numbers)(logits, scene.teacher, scene.batch.targets, normalize=False)
    overrides = []
    if numbers:  # its forward part lacks the teacher's entropy
        p = scene.teacher.softmax(-1)
        total = total - 0.3 * torch.special.entr(p).sum()
        overrides = ["loss.divergence.teacher_weight=0.3"]
    same(name, overrides, scene, total)


def test_pytorch_kl_div():
    scene, logits = scene_and_logits()
    log_p, log_q = scene.teacher.log_softmax(-1), logits.log_softmax(-1)
    same("forward_kl", [], scene, functional.kl_div(log_q, log_p, reduction="sum", log_target=True))


def test_pytorch_cross_entropy_with_probabilities():
    scene, logits = scene_and_logits()
    total = functional.cross_entropy(logits, scene.teacher.softmax(-1), reduction="sum")
    same("soft_cross_entropy", [], scene, total)


def test_every_checked_row_of_the_table_names_a_package_that_is_checked_here():
    text = (CONF.parent / "docs" / "conventions.md").read_text(encoding="utf-8")
    checked = {line.split()[1] for line in text.splitlines() if line.startswith("|") and "✓" in line}
    assert checked == {"TRL", "Liger", "torchtune", "PyTorch"}

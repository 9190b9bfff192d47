"""What a state loss learns is trained, checkpointed and resumed with the run, and is no part of the student; looking at
the gradients of the terms leaves the run as it is, bit for bit."""

import itertools

import pytest
import pytorch_lightning as pl
import torch
from safetensors.torch import load_file

from distill.errors import Interrupted
from distill.losses.cross_entropy import CrossEntropy
from distill.losses.objective import Objective
from distill.losses.states.hidden import MeanSquare
from distill.losses.states.relation import Relation
from distill.losses.taid import Taid
from distill.models import shape
from distill.training.callbacks.gradient_anatomy import GradientAnatomy
from tests.training.open_runs import Watch, facts, runs, same, weights


def objective():
    return Objective(
        {
            "kd": Taid(rate=0.1),  # adapts to what it observes
            "hidden": MeanSquare(weight=0.5),
            "values": Relation(parts=["value"]),
            "ce": CrossEntropy(0.0),
        }
    )


@pytest.fixture
def run(tmp_path, text, tokenizer, tiny_llama):
    return runs(tmp_path, text, tokenizer, tiny_llama, objective)


PROJECTION = "terms.loss/hidden.projections.0.linear.weight"


def test_a_projection_is_trained_resumed_and_absent_from_the_student(run):
    straight, before, after = Watch(), Watch(stop=2), Watch()
    folder = run("straight", [straight])
    with pytest.raises(Interrupted):
        run("stopped", [before])
    assert weights(run("stopped", [after])) == weights(folder)
    trained = [state[PROJECTION] for state in straight.states]
    assert trained[0].shape == (24, 8)
    assert all(not torch.equal(a, b) for a, b in itertools.pairwise(trained))
    for name, value in straight.states[-1].items():
        assert same(value, after.states[-1][name]), name
    exported = load_file(folder / "student" / "model.safetensors")
    assert not any("projection" in name or "loss" in name for name in exported)
    assert sum(value.numel() for value in exported.values()) == shape_of(folder)


def shape_of(folder):
    from transformers import AutoConfig

    return shape(AutoConfig.from_pretrained(folder / "student")).parameters


@pytest.mark.parametrize("accumulate", [1, 2])
def test_looking_at_gradients_changes_nothing(run, accumulate):
    plain, looked = Watch(), Watch()
    without = run("without", [plain], accumulate)
    looking = run("with", [GradientAnatomy(every=2), looked], accumulate)
    assert weights(looking) == weights(without)
    assert [row for row in facts(looking) if not row.metric.startswith("gradient/")] == facts(without)
    for one, other in zip(plain.states, looked.states, strict=True):
        assert all(same(one[name], other[name]) for name in one)


def test_the_terms_add_up_to_the_step(run):
    """‖Σ wᵢ gᵢ‖² = Σ wᵢ wⱼ ‖gᵢ‖ ‖gⱼ‖ cosᵢⱼ is what the projections' share leaves of the step's gradient."""
    kept = Whole()
    folder = run("with", [GradientAnatomy(every=2), kept])
    told = {(row.step, row.metric): row for row in facts(folder) if row.metric.startswith("gradient/")}
    assert sorted({step for step, _ in told}) == [1, 2, 4]
    weight = {"kd": 1.0, "hidden": 0.5, "values": 1.0, "ce": 0.0}
    names = list(weight)
    for step in (1, 2, 4):
        total = 0.0
        for i, a in enumerate(names):
            norm = told[step, f"gradient/{a}/norm"]
            assert norm.unit == ("1/token" if a == "hidden" else "nats/token")
            total += (weight[a] * norm.value) ** 2
            for b in names[i + 1 :]:
                cosine = told[step, f"gradient/{a}~{b}/cosine"]
                assert cosine.unit == "1"
                assert -1 <= cosine.value <= 1
                total += 2 * weight[a] * weight[b] * norm.value * told[step, f"gradient/{b}/norm"].value * cosine.value
        assert total**0.5 == pytest.approx(kept.norms[step - 1], rel=1e-4)


class Whole(pl.Callback):
    """Keeps the norm of each step's mean gradient on the student."""

    def __init__(self):
        self.norms = []

    def on_before_optimizer_step(self, trainer, pl_module, optimizer):
        squares = [p.grad.square().sum() for p in pl_module.student.parameters() if p.grad is not None]
        self.norms.append((torch.stack(squares).sum().sqrt() / pl_module.tally.tokens).item())


def test_nothing_is_kept_of_a_step_after_its_backward_pass(run):
    class Nothing(pl.Callback):
        def on_before_optimizer_step(self, trainer, pl_module, optimizer):
            assert pl_module.seen is None

    run("kept", [Nothing()])

"""Numbers that change in the training: measured, logged at every logged step with their units, resumed exactly."""

import pytest

from distill.divergences.skew import skew_forward_kl
from distill.errors import Interrupted
from distill.losses.balance import Balanced
from distill.losses.cross_entropy import CrossEntropy
from distill.losses.divergence import Divergence
from distill.losses.learned import CurriculumTemperature
from distill.losses.objective import Objective
from distill.losses.schedules import Constant, Linear
from distill.losses.states.hidden import MeanSquare
from distill.losses.taid import Taid
from tests.training.open_runs import Watch, facts, runs, same, weights


@pytest.fixture
def training(tmp_path, text, tokenizer, tiny_llama):
    """``training(objective)(name, …)``."""

    def of(objective):
        return runs(tmp_path, text, tokenizer, tiny_llama, objective)

    return of


def balanced(weight=None, hint=0.5):
    def make():
        kd = Taid(rate=0.1, weight=Balanced(every=1) if weight is None else weight)
        return Objective({"kd": kd, "hidden": MeanSquare(weight=hint), "ce": CrossEntropy(0.0)})

    return make


def told(folder, metric):
    return {row.step: row.value for row in facts(folder) if row.metric == metric}


def test_balanced_terms_come_to_pull_alike(training):
    from distill.training.callbacks.gradient_anatomy import GradientAnatomy

    folder = training(balanced(Balanced(every=1, momentum=0.0)))("run", [GradientAnatomy(every=1)])
    weight, hard, hint = (told(folder, name) for name in ("weight/kd", "gradient/kd/norm", "gradient/hidden/norm"))
    assert weight[1] == 1.0  # in force from the step after its measurement
    for step in (2, 3, 4):
        assert weight[step] == pytest.approx(0.5 * hint[step - 1] / hard[step - 1], rel=1e-5)


def test_a_balanced_run_is_resumed_to_the_bit(training):
    straight, before, after = Watch(), Watch(stop=2), Watch()
    run = training(balanced())
    folder = run("straight", [straight])
    with pytest.raises(Interrupted):
        run("stopped", [before])
    assert weights(run("stopped", [after])) == weights(folder)
    assert facts(folder.parent / "stopped") == facts(folder)
    for name, value in straight.states[-1].items():
        assert same(value, after.states[-1][name]), name


@pytest.mark.parametrize("accumulate", [1, 2])
def test_measuring_without_moving_is_a_constant_weight_to_the_bit(training, accumulate):
    still = training(balanced(Balanced(every=1, momentum=1.0)))("still", accumulate=accumulate)
    plain = training(balanced(1.0))("plain", accumulate=accumulate)
    assert weights(still) == weights(plain)
    assert [row for row in facts(still) if row.metric != "weight/kd"] == facts(plain)


def test_every_number_that_changes_is_a_row_and_no_constant_is(training):
    def make():
        return Objective(
            {
                "kd": Taid(rate=0.0, start=0.4, temperature=Linear(1.0, 4.0), weight=Constant(0.5)),
                "skewed": Divergence(skew_forward_kl, weight=Linear(0.0, 3.0), scheduled={"skew": Linear(0.3, 0.0)}),
                "ce": CrossEntropy(0.1),
            },
            temperature=CurriculumTemperature(),
        )

    folder = training(make)("run")
    names = {row.metric for row in facts(folder) if row.split == "train"}
    usual = {"loss/kd", "loss/skewed", "loss/ce", "loss/total", "gradient_norm", "learning_rate"}
    assert names == usual | {"t/kd", "temperature/kd", "weight/skewed", "skew/skewed", "temperature"}
    assert list(told(folder, "weight/skewed").values()) == pytest.approx([0.0, 1.0, 2.0, 3.0])
    assert list(told(folder, "skew/skewed").values()) == pytest.approx([0.3, 0.2, 0.1, 0.0])
    assert list(told(folder, "temperature/kd").values()) == pytest.approx([1.0, 2.0, 3.0, 4.0])
    assert list(told(folder, "t/kd").values()) == pytest.approx([0.4, 0.6, 0.8, 1.0])
    assert {row.unit for row in facts(folder) if row.metric in names - usual} == {"1"}


def test_a_row_carries_the_unit_of_its_loss(training):
    units = {row.metric: row.unit for row in facts(training(balanced())("mixed"))}
    assert units["loss/kd"] == units["loss/ce"] == units["nats_per_token"] == "nats/token"
    assert units["loss/hidden"] == units["loss/total"] == units["gradient_norm"] == "1/token"
    assert units["learning_rate"] == units["weight/kd"] == units["t/kd"] == "1"
    pure = {row.metric: row.unit for row in facts(training(balanced(hint=0.0))("pure"))}
    assert pure["loss/total"] == pure["gradient_norm"] == "nats/token"

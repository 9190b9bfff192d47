"""The benchmark of a sweep compares like with like: live and lockstep are the same bits, the usual loop one loss."""

import pytest
import torch

from benchmarks.sweep import GRID, SETTINGS, Setting, _usual_loss, measure, modules, scene
from distill.models import answer
from distill.types import Moment, Request

TINY = Setting(300, (1, 64), (1, 64), 2, 16)


@pytest.mark.filterwarnings("ignore")
def test_live_and_lockstep_are_the_same_bits_and_ask_as_often_as_they_say(tmp_path):
    shown = scene(TINY, 2, str(tmp_path))
    for name in ("live", "stored", "lockstep"):
        assert measure(shown, name, tmp_path / name) > 0
    assert shown.passes == {"live": 16, "stored": 2, "lockstep": 2}
    for one, other in zip(shown.trained["live"], shown.trained["lockstep"], strict=True):
        assert all(torch.equal(one[key], other[key]) for key in one)


def test_the_usual_loop_has_our_loss(tmp_path):
    shown = scene(TINY, 1, str(tmp_path))
    (batch,) = shown.text
    for module, (temperature, weight) in zip(modules(shown, iter([shown.teacher] * 8)), GRID, strict=True):
        outputs = answer(module.student, batch.inputs, batch.positions)
        ours = module.objective(outputs, shown.teacher.teach(batch, Request()), batch, Moment(0, 1)).total
        usual = _usual_loss(module.student, shown.teacher.model, batch, temperature, weight)
        torch.testing.assert_close(usual, ours / batch.tokens, rtol=1e-4, atol=1e-5)


def test_the_large_setting_is_what_its_help_says():
    shown = SETTINGS["large"]
    sizes = [shown.vocabulary * d + n * (4 * d * d + 3 * d * (11 * d // 4)) for n, d in (shown.teacher, shown.student)]
    assert [round(size / 1e6) for size in sizes] == [204, 44]

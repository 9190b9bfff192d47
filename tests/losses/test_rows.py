"""The compiled row kernel computes what the pure path computes, or stands aside."""

import logging
import subprocess
import sys
from functools import partial
from pathlib import Path
from unittest.mock import patch

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from distill.divergences.jensen_shannon import jensen_shannon, normalised_jensen_shannon
from distill.divergences.kl import forward_kl, reverse_kl, symmetric_kl
from distill.errors import NumericalStop
from distill.losses import kernel, shortcut
from distill.losses.cross_entropy import CrossEntropy
from distill.losses.divergence import Divergence
from distill.losses.gate import StudentEntropy
from distill.losses.loss import Loss
from distill.losses.objective import Objective
from distill.losses.rows import Rows
from distill.signals.dense import Dense
from distill.signals.topk import TopK
from distill.types import Weighed
from tests.losses.naive_pass import Scene, close, composed, gradients, naive, run, vocabulary_losses

needs_kernel = pytest.mark.skipif(kernel.kernel() is None, reason="nothing can be compiled here")
FUNCTIONS = [
    forward_kl,
    reverse_kl,
    partial(symmetric_kl, teacher_weight=0.3),
    jensen_shannon,
    partial(jensen_shannon, teacher_weight=0.1),
    partial(normalised_jensen_shannon, teacher_weight=0.9),
    normalised_jensen_shannon,
    partial(normalised_jensen_shannon, teacher_weight=0.0),
]
WEIGHTS = st.sampled_from([0.0, 0.3, 1.0, 2.5])
TERMS = st.lists(
    st.one_of(
        st.builds(CrossEntropy, WEIGHTS),
        st.builds(
            Divergence, st.sampled_from(FUNCTIONS), WEIGHTS, st.sampled_from([None, 0.5, 1.0, 4.0]), st.booleans()
        ),
    ),
    min_size=1,
    max_size=5,
).filter(lambda terms: any(term.weight != 0 for term in terms))


def named(*terms: Loss) -> dict[str, Loss]:
    return {f"term{index}": term for index, term in enumerate(terms)}


def weighed(scene: Scene, losses: dict[str, Loss], quick: bool, **options) -> tuple[Weighed, list[Tensor], int]:
    """What an objective makes of a scene, its gradients, and how often the kernel was called."""
    with patch.object(Rows, "slopes", autospec=True, side_effect=Rows.slopes) as called:
        made = run(Objective(losses, kernel=quick, **options), scene)
        return made, gradients(made.total, scene.leaves), called.call_count


def same(ours: Weighed, theirs: Weighed, relative: float) -> None:
    close([ours.total.detach(), *ours.terms.values()], [theirs.total.detach(), *theirs.terms.values()], relative)


@needs_kernel
@given(
    terms=TERMS,
    tokens=st.integers(1, 9),
    vocabulary=st.sampled_from([2, 3, 7, 15, 16, 17, 33, 1023, 1024, 1025, 2100]),
    chunk=st.integers(1, 11),
    bias=st.booleans(),
    scale=st.sampled_from([1.0, 0.25]),
    temperature=st.sampled_from([1.0, 2.0]),
    seed=st.integers(0, 1000),
)
@settings(max_examples=150, deadline=None)
def test_equals_the_pure_path(terms, chunk, temperature, **shape):
    scene, losses = Scene(dtype=torch.float32, **shape), named(*terms)
    ours, our_slopes, calls = weighed(scene, losses, True, temperature=temperature, chunk=chunk)
    theirs, slopes, none = weighed(scene, losses, False, temperature=temperature, chunk=chunk)
    assert (calls, none) == (-(-scene.tokens // chunk), 0)
    noise = 2e-7 * tokens_and_squares(scene, losses)  # where p is near q, nothing but rounding is left of both
    for one, other in zip([*ours.terms.values(), *our_slopes], [*theirs.terms.values(), *slopes], strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-5 * other.abs().max().item() + noise)


def tokens_and_squares(scene: Scene, losses: dict[str, Loss]) -> float:
    """How large a rounding error a sum over tokens is allowed: a T² or a weight multiplies it."""
    return scene.tokens * sum((1 + loss.weight) * 16 for loss in losses.values())


@needs_kernel
@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("apart", [1.0, 1e-2])
def test_is_as_near_to_float64_as_the_pure_path(function, apart):
    wide, single = Scene(tokens=30, vocabulary=3000), Scene(tokens=30, vocabulary=3000, dtype=torch.float32)
    with torch.no_grad():
        logits = single.hidden @ single.weight.T
        single.teacher = logits + apart * single.teacher
        for leaf in ("hidden", "weight"):
            getattr(wide, leaf).copy_(getattr(single, leaf))
        wide.teacher = single.teacher.double()
    losses = named(Divergence(function))
    exact = naive(wide, losses, 1.0)
    of_weight = gradients(exact.total, wide.leaves)[1]
    errors = []
    for quick in (True, False):
        made, slopes, _ = weighed(single, losses, quick)
        value = (made.total.double() - exact.total).abs().item()
        errors.append((value, (slopes[1].double() - of_weight).norm().item()))
    (value, slope), (pure_value, pure_slope) = errors
    assert value <= 2 * pure_value + 1e-7 * max(exact.total.item(), exact.tokens)
    assert slope <= 2 * pure_slope + 1e-7 * of_weight.norm().item()


def excluding(scene: Scene, of_teacher: list[int], of_student: list[int]) -> None:
    with torch.no_grad():
        scene.teacher[:, of_teacher] = -torch.inf
        assert scene.offset is not None
        scene.offset[of_student] = -torch.inf


MANY = list(range(1100))  # more than a block: the first sum of exponentials is of excluded tokens only


@needs_kernel
@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize(
    ("of_teacher", "of_student"), [([3], []), ([], [3]), ([3, 5], [3, 5]), (MANY, MANY), (MANY, []), ([3, 4], [4, 5])]
)
@pytest.mark.parametrize("temperature", [1.0, 3.0])
def test_excluded_tokens_count_as_in_the_pure_path(function, of_teacher, of_student, temperature):
    scene = Scene(tokens=5, vocabulary=2000, dtype=torch.float32, bias=True)
    excluding(scene, of_teacher, of_student)
    losses = named(Divergence(function))
    outcomes = []
    for quick in (True, False):
        try:
            made, slopes, _ = weighed(scene, losses, quick, temperature=temperature)
        except NumericalStop as stop:
            outcomes.append(str(stop))
        else:
            assert all(slope.isfinite().all() for slope in slopes)
            outcomes.append((made, slopes))
    if isinstance(outcomes[1], str):
        assert outcomes[0] == outcomes[1]
    else:
        same(outcomes[0][0], outcomes[1][0], 1e-5)
        close(outcomes[0][1], outcomes[1][1], 2e-5)


@needs_kernel
@pytest.mark.parametrize("loss", [CrossEntropy(), *(Divergence(function) for function in FUNCTIONS)])
@pytest.mark.parametrize("poison", [torch.nan, torch.inf])
@pytest.mark.parametrize("place", [0, 1999])
def test_what_is_undefined_stops_and_names_its_sample(loss, poison, place):
    scene = Scene(tokens=5, vocabulary=2000, dtype=torch.float32, bias=True)
    with torch.no_grad():
        scene.offset[place] = poison  # type: ignore[index]
    with pytest.raises(NumericalStop, match="student logits"):
        run(Objective(named(loss)), scene)
    scene = Scene(tokens=5, vocabulary=2000, dtype=torch.float32)
    if loss.asks:
        scene.teacher[2, place] = poison
        with pytest.raises(NumericalStop, match="teacher logits"):
            run(Objective(named(loss)), scene)


@needs_kernel
def test_a_row_that_excludes_everything_stops():
    scene = Scene(tokens=5, vocabulary=40, dtype=torch.float32)
    scene.teacher[2] = -torch.inf
    with pytest.raises(NumericalStop):
        run(Objective(named(Divergence(jensen_shannon))), scene)


@needs_kernel
def test_an_excluded_target_stops():
    scene = Scene(tokens=5, vocabulary=40, dtype=torch.float32, bias=True)
    excluding(scene, [], [int(scene.batch.targets[1])])
    with pytest.raises(NumericalStop, match="undefined"):
        run(Objective(named(CrossEntropy())), scene)


@needs_kernel
def test_the_same_bits_whatever_the_number_of_threads():
    scene, losses = Scene(tokens=23, vocabulary=1500, dtype=torch.float32), some()
    made = []
    for threads in (1, 2, 5):
        with patch("distill.losses.rows.torch.get_num_threads", return_value=threads):
            made.append(weighed(scene, losses, True, chunk=9))
    for other in made[1:]:
        assert torch.equal(made[0][0].total, other[0].total)
        assert all(map(torch.equal, made[0][1], other[1]))


def some() -> dict[str, Loss]:
    return named(
        Divergence(forward_kl, 0.7), CrossEntropy(0.5), Divergence(jensen_shannon, 2.0, 3.0), CrossEntropy(0.0)
    )


@needs_kernel
@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_the_same_bits_without_gradients(mode):
    scene, objective = Scene(tokens=9, vocabulary=1500, dtype=torch.float32), Objective(some(), chunk=4)
    trained = run(objective, scene)
    with mode():
        measured = run(objective, scene)
    assert torch.equal(trained.total, measured.total)
    assert all(torch.equal(measured.terms[name], value) for name, value in trained.terms.items())


@needs_kernel
@pytest.mark.parametrize("name", vocabulary_losses())
def test_a_weight_of_zero_changes_no_bit(name):
    scene = Scene(tokens=9, vocabulary=150, dtype=torch.float32)
    alone, plain, _ = weighed(scene, {"ce": CrossEntropy()}, True, chunk=4)
    loss = composed("loss", name, ["loss.weight=0.0"])
    beside, slopes, calls = weighed(scene, {"kd": loss, "ce": CrossEntropy()}, True, chunk=4)
    assert calls == 3
    assert torch.equal(alone.total, beside.total)
    assert all(map(torch.equal, slopes, plain))
    measured, _, _ = weighed(scene, {"kd": composed("loss", name), "ce": CrossEntropy()}, False, chunk=4)
    close([beside.terms["kd"]], [measured.terms["kd"]], 1e-5)


@needs_kernel
@pytest.mark.parametrize("name", vocabulary_losses())
def test_every_loss_is_itself_with_the_kernel(name):
    scene = Scene(tokens=9, vocabulary=150, dtype=torch.float32)
    losses = {"kd": composed("loss", name), "ce": CrossEntropy(0.5)}
    ours, our_slopes, _ = weighed(scene, losses, True, temperature=2.0, chunk=4)
    theirs, slopes, _ = weighed(scene, losses, False, temperature=2.0, chunk=4)
    same(ours, theirs, 1e-5)
    close(our_slopes, slopes, 1e-5)


@needs_kernel
def test_it_stands_aside_where_it_does_not_know():
    single = Scene(tokens=9, vocabulary=40, dtype=torch.float32)
    gated = named(Divergence(forward_kl, gate=StudentEntropy(at_least=1.0)))
    near = named(Divergence(partial(normalised_jensen_shannon, teacher_weight=0.001)))
    cases = [
        (Scene(tokens=9), some(), None),
        (Scene(tokens=9, dtype=torch.float32, softcap=3.0), some(), None),
        (single, gated, None),
        (single, near, None),
        (single, some(), Dense(single.teacher.double())),
        (single, named(Divergence(forward_kl)), TopK.of(single.teacher, 4, 1.0)),
    ]
    for scene, losses, signal in cases:
        with patch.object(Rows, "slopes", side_effect=AssertionError("the kernel was called")):
            run(Objective(losses), scene, signal)


@needs_kernel
def test_a_coarser_teacher_leaves_the_data_to_the_kernel():
    scene = Scene(tokens=9, vocabulary=40, dtype=torch.float32)
    with patch.object(Rows, "slopes", autospec=True, side_effect=Rows.slopes) as called:
        losses = named(CrossEntropy(), Divergence(forward_kl, 0.0))
        made = run(Objective(losses), scene, TopK.of(scene.teacher, 4, 1.0))
    assert called.call_count == 1
    pure = run(Objective(losses, kernel=False), scene, TopK.of(scene.teacher, 4, 1.0))
    same(made, pure, 1e-5)


def test_without_a_kernel_it_is_the_pure_path():
    scene = Scene(tokens=9, vocabulary=40, dtype=torch.float32)
    with patch.object(shortcut, "kernel", lambda: None):
        made = run(Objective(some()), scene)
    assert torch.equal(made.total, run(Objective(some(), kernel=False), scene).total)


@pytest.fixture
def anew(tmp_path, monkeypatch):
    """As in a process that has asked for no kernel yet, on a machine that has built none."""
    monkeypatch.setenv("TORCH_EXTENSIONS_DIR", str(tmp_path / "extensions"))
    kernel.kernel.cache_clear()
    yield tmp_path
    kernel.kernel.cache_clear()


@pytest.mark.parametrize("case", ["no compiler", "build breaks", "no room", "no library"])
def test_what_cannot_be_built_is_told_in_one_line(case, anew: Path, monkeypatch, caplog):
    script = anew / "compiler"
    script.write_text(COMPILERS.get(case, "exit 0"))
    script.chmod(0o755)
    monkeypatch.setenv("CXX", str(script))
    if case == "no compiler":
        monkeypatch.setenv("PATH", "")
        script.unlink()
    if case == "no room":
        (anew / "extensions").write_text("a file")
    with caplog.at_level(logging.WARNING):
        assert kernel.kernel() is None
        assert kernel.kernel() is None
    assert len(caplog.records) == 1
    assert len(caplog.messages[0].splitlines()) == 1
    assert "in torch" in caplog.messages[0]


COMPILERS = {
    "build breaks": '#!/bin/sh\ncase "$*" in *-dM*) ;; *) echo "x.cpp: error: a word" >&2; exit 1;; esac\n',
    "no library": '#!/bin/sh\nwhile [ $# -gt 1 ]; do [ "$1" = -o ] && echo nonsense > "$2"; shift; done\n',
}


@pytest.mark.slow
@needs_kernel
def test_processes_that_come_at_once_build_once(anew: Path):
    code = "from distill.losses.kernel import kernel; assert kernel() is not None"
    started = [subprocess.Popen([sys.executable, "-W", "error", "-c", code]) for _ in range(3)]
    assert [process.wait(60) for process in started] == [0, 0, 0]
    (folder,) = (anew / "extensions").iterdir()
    assert sorted(file.name for file in folder.iterdir() if file.suffix != ".lock") == ["rows.so"]

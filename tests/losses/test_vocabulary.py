"""The one pass equals the naive computation, and never makes an (N, V) tensor."""

import shutil
from unittest.mock import patch

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode

from distill.losses import elementwise
from distill.losses.cross_entropy import CrossEntropy
from distill.losses.objective import Objective
from distill.signals.hidden import Hidden
from distill.types import Head, Outputs
from tests.losses.naive_pass import NOW, Scene, close, composed, gradients, naive, run, vocabulary_losses

ALL = vocabulary_losses()


def some_losses():
    losses = {name: composed("loss", name) for name in ("forward_kl", "jensen_shannon", "cross_entropy")}
    losses["forward_kl"].weight, losses["jensen_shannon"].weight = 0.7, 2.5
    losses["hot"] = composed("loss", "reverse_kl", ["loss.temperature=3.0", "loss.temperature_squared=false"])
    return losses


@given(
    tokens=st.integers(1, 9),
    vocabulary=st.integers(2, 17),
    chunk=st.integers(1, 11),
    bias=st.booleans(),
    scale=st.sampled_from([1.0, 0.25]),
    softcap=st.sampled_from([None, 3.0]),
    frozen=st.booleans(),
    cached=st.sampled_from([1, 30, 10**6]),
    temperature=st.sampled_from([1.0, 2.0]),
    seed=st.integers(0, 1000),
)
@settings(max_examples=60, deadline=None)
def test_equals_the_naive_computation(chunk, temperature, cached, **shape):
    scene, losses = Scene(**shape), some_losses()
    with patch.object(elementwise, "CACHED_NUMBERS", cached):  # rows of a block: one, few, all
        ours = run(Objective(losses, temperature=temperature, chunk=chunk), scene)
    theirs = naive(scene, losses, temperature)
    close([ours.total.detach(), *ours.terms.values()], [theirs.total.detach(), *theirs.terms.values()])
    close(gradients(ours.total, scene.leaves), gradients(theirs.total, scene.leaves))


@pytest.mark.parametrize("name", ALL)
def test_every_loss_equals_the_naive_computation(name):
    scene, losses = Scene(tokens=8, bias=True), {name: composed("loss", name)}
    ours, theirs = run(Objective(losses, temperature=2.0, chunk=3), scene), naive(scene, losses, 2.0)
    close([ours.total.detach()], [theirs.total.detach()])
    leaves = scene.leaves + [p for p in losses[name].parameters() if p.requires_grad]
    close(gradients(ours.total, leaves), gradients(theirs.total, leaves))


def test_a_tied_head_gets_both_gradients():
    scene, losses = Scene(), some_losses()
    ids = torch.randint(scene.vocabulary, (scene.tokens,), generator=torch.Generator().manual_seed(1))

    def outputs():
        return Outputs(torch.tanh(scene.weight[ids]), scene.head)  # the embedding's rows, through a body

    ours = Objective(losses, chunk=3)(outputs(), scene.signal, scene.batch, NOW)
    ours = gradients(ours.total, [scene.weight])
    scene.hidden = outputs().hidden
    close(ours, gradients(naive(scene, losses, 1.0).total, [scene.weight]))


def test_the_incoming_gradient_multiplies():
    scene = Scene(bias=True)
    total = run(Objective(some_losses(), chunk=3), scene).total
    once = torch.autograd.grad(total, scene.leaves, retain_graph=True)
    thrice = torch.autograd.grad(3 * total, scene.leaves, retain_graph=True)
    close(list(thrice), [3 * g for g in once])
    close(list(torch.autograd.grad(total, scene.leaves)), list(once), 0.0)


def test_a_frozen_head_gets_no_gradient_computed():
    scene = Scene(frozen=True, tokens=40, vocabulary=31)
    shapes = Shapes()
    with shapes:
        total = run(Objective(some_losses(), chunk=8), scene).total
        total.backward()
    assert scene.weight.grad is None
    assert (scene.vocabulary, scene.width) not in shapes.multiplied


def test_a_frozen_body_still_trains_the_head():
    scene, losses = Scene(), some_losses()
    scene.hidden = scene.hidden.detach()
    ours, theirs = run(Objective(losses, chunk=3), scene), naive(scene, losses, 1.0)
    close(gradients(ours.total, [scene.weight]), gradients(theirs.total, [scene.weight]))


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_without_gradients_the_values_are_the_same(mode):
    scene, objective = Scene(), Objective(some_losses(), chunk=3)
    with_gradient = run(objective, scene)
    with mode():
        without = run(objective, scene)
    assert not without.total.requires_grad
    assert torch.equal(without.total, with_gradient.total)
    assert all(torch.equal(without.terms[name], value) for name, value in with_gradient.terms.items())


def test_no_tokens_no_loss_and_zero_gradients():
    scene = Scene(tokens=0)
    weighed = run(Objective(some_losses()), scene)
    weighed.total.backward()
    assert weighed.total.item() == 0.0
    assert scene.weight.grad is not None
    assert not scene.weight.grad.any()


@pytest.mark.parametrize("kernel", [False, True])
def test_terms_that_are_only_measured_make_no_gradient_even_of_an_infinite_state(kernel):
    scene, losses = Scene(tokens=20), some_losses()
    for loss in losses.values():
        loss.weight = 0.0
    with torch.no_grad():
        scene.hidden[3] = -torch.inf
    shapes = Shapes()
    with shapes:
        run(Objective(losses, chunk=8, kernel=kernel), scene).total.backward()
    assert (scene.vocabulary, scene.width) not in shapes.multiplied
    for leaf in (scene.hidden, scene.weight):
        assert leaf.grad is not None
        assert not leaf.grad.any()


class Shapes(TorchDispatchMode):
    """Every shape that an operation makes, and those that a matrix product makes."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: set[tuple[int, ...]] = set()
        self.multiplied: set[tuple[int, ...]] = set()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        made = function(*args, **(kwargs or {}))
        for tensor in made if isinstance(made, (tuple, list)) else [made]:
            if isinstance(tensor, torch.Tensor):
                self.seen.add(tuple(tensor.shape))
                if "mm" in function.__name__:
                    self.multiplied.add(tuple(tensor.shape))
        return made


@pytest.mark.parametrize("name", ALL)
def test_no_tensor_of_all_tokens_and_the_vocabulary(name):
    scene = Scene(tokens=64, vocabulary=37, width=4)
    generator = torch.Generator().manual_seed(0)
    state = torch.randn(64, 6, generator=generator, dtype=torch.float64)
    signal = Hidden(state, Head(torch.randn(37, 6, generator=generator, dtype=torch.float64)))
    objective = Objective({name: composed("loss", name), "ce": CrossEntropy()}, chunk=16)
    shapes = Shapes()
    with shapes:
        run(objective, scene, signal).total.backward()
    largest = max(torch.Size(shape).numel() for shape in shapes.seen)
    assert (16, 37) in shapes.seen
    assert largest <= 16 * 37, f"{largest} numbers in one tensor; a chunk has {16 * 37}"


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_keeps_float32_statistics(name, dtype):
    """The only error against float64 is the last rounding of the gradient: logits are never rounded to half."""
    half = Scene(tokens=40, width=64, vocabulary=97, dtype=dtype)
    exact = Scene(tokens=40, width=64, vocabulary=97)
    with torch.no_grad():
        for leaf in ("hidden", "weight", "teacher"):
            getattr(exact, leaf).copy_(getattr(half, leaf))
    ours = run(Objective({name: composed("loss", name)}, chunk=16), half)
    theirs = run(Objective({name: composed("loss", name)}, chunk=16), exact)
    assert ours.total.dtype is torch.float32
    close([ours.total.detach().double()], [theirs.total.detach()], 1e-4)
    made = torch.autograd.grad(ours.total, half.leaves)
    assert all(g.dtype is dtype for g in made)
    rounding = 2**-7 if dtype is torch.bfloat16 else 2**-9
    close([g.double() for g in made], gradients(theirs.total, exact.leaves), rounding)


def test_autocast_does_not_round_the_products():
    scene = Scene(tokens=16, width=64, vocabulary=97, dtype=torch.float32)
    objective = Objective({"kl": composed("loss", "forward_kl")}, chunk=8)
    plain = run(objective, scene).total
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixed = run(objective, scene).total
    assert torch.equal(plain, mixed)
    close(gradients(mixed, scene.leaves), gradients(plain, scene.leaves), 0.0)


def needs_compiler(test):
    """torch itself warns of torch.jit when its compiler is first imported."""
    test = pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")(test)
    return pytest.mark.skipif(shutil.which("g++") is None, reason="there is no C++ compiler here")(test)


def compiled_equals_eager(losses: dict, temperature: float = 2.0) -> None:
    for tokens in (40, 23):  # the second has a short last block
        scene = Scene(tokens=tokens, width=8, vocabulary=97, dtype=torch.float32, bias=True)
        with patch.object(elementwise, "CACHED_NUMBERS", 97 * 6):
            fused = run(Objective(losses, temperature=temperature, chunk=16, compile=True), scene)
            eager = run(Objective(losses, temperature=temperature, chunk=16), scene)
        close([fused.total.detach(), *fused.terms.values()], [eager.total.detach(), *eager.terms.values()], 1e-5)
        close(gradients(fused.total, scene.leaves), gradients(eager.total, scene.leaves), 1e-5)


@needs_compiler
def test_compiled_is_eager_to_rounding():
    compiled_equals_eager({"kd": composed("loss", "forward_kl"), "ce": CrossEntropy(0.5), "off": CrossEntropy(0.0)})


@pytest.mark.slow
@needs_compiler
@pytest.mark.parametrize("name", ALL)
def test_every_loss_compiled_is_eager_to_rounding(name):
    torch._dynamo.reset()
    compiled_equals_eager({"kd": composed("loss", name)})


def test_a_machine_that_compiles_nothing_runs_eager():
    scene, losses = Scene(dtype=torch.float32), {"kd": composed("loss", "forward_kl")}
    with patch.object(elementwise, "_can_compile", lambda: False):
        fused = run(Objective(losses, compile=True), scene)
    assert torch.equal(fused.total, run(Objective(losses), scene).total)


def test_the_heads_gradient_is_handed_over_and_not_copied():
    scene = Scene(tokens=40, vocabulary=31)
    copied = Copies()
    total = run(Objective(some_losses(), chunk=8), scene).total
    with copied:
        total.backward()
    assert (scene.vocabulary, scene.width) not in copied.shapes


class Copies(TorchDispatchMode):
    """The shapes of all that is copied."""

    def __init__(self) -> None:
        super().__init__()
        self.shapes: set[tuple[int, ...]] = set()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        made = function(*args, **(kwargs or {}))
        if "clone" in function.__name__ or "copy" in function.__name__:
            self.shapes.add(tuple(made.shape))
        return made

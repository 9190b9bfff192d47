"""What every state loss promises, whatever it compares: found by looking, so a new one is tested without an edit."""

from dataclasses import replace

import pytest
import torch

from distill.errors import BadInput, NumericalStop
from distill.losses.cross_entropy import CrossEntropy
from distill.losses.objective import Objective
from distill.losses.states.compared import Compared
from distill.models import shape
from distill.signals.dense import Dense
from distill.signals.hidden import Hidden
from distill.types import Request
from tests.losses.naive_pass import NOW, composed
from tests.losses.state_scene import PACKED, Pair, batch_of, model, other_tokens, slopes, state_losses

ALL = state_losses()
ACROSS = [name for name in ALL if composed("loss", name).request.attentions or "relation" in name.split("_")]
"""Those that compare positions of a row with each other."""
COMPARED = [name for name in ALL if isinstance(composed("loss", name), Compared)]
"""Those that compare a token's states with the same token's; others may match tokens in ways of their own."""
MAPS = ["hidden", "patient", "kernel_alignment", "contrastive", "relational_distance"]


@pytest.fixture(scope="module")
def pair() -> Pair:
    return Pair.made()


@pytest.fixture(params=ALL)
def name(request) -> str:
    return request.param


def same(left: torch.Tensor, right: torch.Tensor, relative: float = 1e-5) -> None:
    assert torch.linalg.norm(left - right) <= relative * torch.linalg.norm(right)


def test_there_are_losses_to_test():
    assert len(COMPARED) >= 12
    assert len(ACROSS) >= 3


def test_one_finite_value_a_token_and_a_gradient_for_the_student_alone(pair, name):
    loss, batch = pair.prepared(composed("loss", name)), batch_of(PACKED)
    value = pair.value(loss, batch)
    assert value.shape == (batch.tokens,)
    assert value.dtype == torch.float32
    if name != "sampled_reverse_kl":  # a drawn token's log-ratio is an estimate, below 0 as often as it must be
        assert (value >= -1e-6).all()
    gradient = slopes(value.sum(), pair.student, loss)
    assert gradient.isfinite().all()
    assert gradient.abs().sum() > 0
    assert not any(parameter.requires_grad for parameter in pair.teacher.parameters())


def test_every_learned_part_has_a_gradient(pair, name):
    loss = pair.prepared(composed("loss", name))
    pair.value(loss, batch_of(PACKED)).sum().backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in loss.parameters())
    pair.student.zero_grad()


@pytest.mark.parametrize("padding", [1, 9])
def test_padding_changes_nothing(pair, name, padding):
    """C5."""
    loss = pair.prepared(composed("loss", name))
    same(pair.value(loss, batch_of(PACKED, padding)), pair.value(loss, batch_of(PACKED)))


def test_documents_of_a_row_do_not_see_each_other(pair, name):
    """Packed in two rows, each alone in a row, or padded under a mask: the same value for each token."""
    loss = pair.prepared(composed("loss", name))
    packed = pair.value(loss, batch_of(PACKED))
    alone = [(index,) for row in PACKED for index in row]
    same(pair.value(loss, batch_of(alone)), packed)
    same(pair.value(loss, batch_of(alone, packed=False)), packed)


def test_cutting_into_micro_batches_changes_nothing(pair, name):
    """C4: rows of unequal length; a sample is never cut."""
    loss = pair.prepared(composed("loss", name))
    rows = [(2,), (0, 1), (5,), (3, 4)]
    whole = slopes(pair.value(loss, batch_of(rows)).sum(), pair.student, loss)
    for pieces in (2, 4):
        size = len(rows) // pieces
        parts = [rows[start : start + size] for start in range(0, len(rows), size)]
        same(sum(slopes(pair.value(loss, batch_of(part)).sum(), pair.student, loss) for part in parts), whole)


@pytest.mark.parametrize("name", [name for name in COMPARED if name != "contrastive"])
def test_a_student_that_is_its_teacher_has_nothing_to_learn(name):
    twin = Pair(model(2, 16, 4, 2, 0), model(2, 16, 4, 2, 0).requires_grad_(False))
    loss = twin.prepared(composed("loss", name))
    value = twin.value(loss, batch_of(PACKED))
    assert value.abs().max() < 1e-5
    assert slopes(value.sum(), twin.student, loss).abs().max() < 1e-3


def test_the_teacher_is_heard(pair, name):
    """C7."""
    loss, batch = pair.prepared(composed("loss", name)), batch_of(PACKED)
    other = Pair(pair.student, Pair.made(seed=5).teacher)
    assert (pair.value(loss, batch).sum() - other.value(loss, batch).sum()).abs() > 1e-4


def test_weight_zero_is_cross_entropy_bit_for_bit_and_still_measured(pair, name):
    """C7."""
    batch = batch_of(PACKED)
    plain = pair.weighed(Objective({"ce": CrossEntropy()}), batch).total
    loss = pair.prepared(composed("loss", name, ["loss.weight=0.0"]))
    off = pair.weighed(Objective({"state": loss, "ce": CrossEntropy()}), batch)
    assert torch.equal(off.total, plain)
    assert torch.equal(slopes(off.total, pair.student), slopes(plain, pair.student))
    torch.testing.assert_close(off.terms["state"], pair.value(loss, batch).sum().detach())


def test_without_a_teacher_it_makes_nothing_and_may_only_be_off(pair, name):
    loss = composed("loss", name, ["loss.weight=0.0"])
    loss.prepare(shape(pair.student), None)
    assert not list(loss.parameters())
    batch = batch_of(PACKED)
    outputs, _ = pair.answers(loss, batch)
    assert list(Objective({"state": loss, "ce": CrossEntropy()})(outputs, None, batch, NOW).terms) == ["ce"]
    loss.weight = 1.0
    with pytest.raises(BadInput, match=r"objective\.losses\.state"):
        Objective({"state": loss})(outputs, None, batch, NOW)


@pytest.mark.parametrize("name", COMPARED)
def test_a_signal_without_states_or_of_other_tokens_is_refused(pair, name):
    loss, batch = pair.prepared(composed("loss", name)), batch_of(PACKED)
    outputs, signal = pair.answers(loss, batch)
    with pytest.raises(BadInput, match="carries no states"):
        loss(outputs, Dense(torch.zeros(batch.tokens, 50)), batch)
    assert signal.outputs is not None
    fewer = replace(signal.outputs, hidden=signal.outputs.hidden[1:])
    with pytest.raises(BadInput, match=f"{batch.tokens} tokens of the student face {batch.tokens - 1}"):
        loss(outputs, Hidden(fewer.hidden, fewer.head, fewer), batch)


@pytest.mark.parametrize("name", ACROSS)
def test_positions_of_other_texts_are_not_compared(pair, name):
    loss = pair.prepared(composed("loss", name))
    with pytest.raises(BadInput, match="shown different tokens"):
        pair.value(loss, other_tokens(batch_of(PACKED)))


def test_what_is_learned_is_a_function_of_the_seed_and_survives_a_round_trip(pair, name):
    one, two = (pair.prepared(composed("loss", name)) for _ in range(2))
    assert one.state_dict().keys() == two.state_dict().keys()
    assert all(torch.equal(one.state_dict()[key], two.state_dict()[key]) for key in one.state_dict())
    for parameter in one.parameters():
        parameter.data.normal_()
    two.load_state_dict(one.state_dict())
    assert torch.equal(pair.value(one, batch_of(PACKED)), pair.value(two, batch_of(PACKED)))


def test_a_teacher_that_is_not_a_number_is_named(pair, name):
    """C1."""
    loss, batch = pair.prepared(composed("loss", name)), batch_of(PACKED)
    outputs, signal = pair.answers(loss, batch)
    told = signal.outputs
    assert told is not None
    gone = torch.full((), torch.nan)
    told = replace(
        told,
        hidden=told.hidden * gone,
        layers=tuple(state * gone for state in told.layers),
        attentions=tuple(state * gone for state in told.attentions),
        modules={path: state * gone for path, state in told.modules.items()},
    )
    with pytest.raises(NumericalStop, match="loss/state is not finite"):
        Objective({"state": loss})(outputs, Hidden(told.hidden, told.head, told), batch, NOW)


def test_half_precision_is_compared_in_single(name):
    """Under autocast as with half-precision weights."""
    half = Pair(model(2, 16, 4, 4, 0), model(3, 32, 4, 2, 1).requires_grad_(False).bfloat16())
    loss, batch = half.prepared(composed("loss", name)), batch_of(PACKED)
    outputs, signal = half.answers(loss, batch)
    plain = loss(outputs, signal, batch)
    with torch.autocast("cpu", torch.bfloat16):
        inside = loss(outputs, signal, batch)
    assert plain.dtype == torch.float32
    assert torch.equal(inside, plain)


def test_it_asks_for_what_it_declares(pair, name):
    """A model is never asked for more than the needs say."""
    loss = pair.prepared(composed("loss", name))
    for request in (loss.request, loss.teacher_request):
        assert ("attention" in loss.asks) == request.attentions
        assert ("layers" in loss.asks) == bool(request.layers or request.modules)
    assert loss.needs <= loss.asks


@pytest.mark.parametrize("name", MAPS)
@pytest.mark.parametrize("layers", ["uniform", "skip", "last", "final", "learned", "[[0,-1],[1,1]]"])
def test_every_map_of_layers(pair, name, layers):
    loss = pair.prepared(composed("loss", name, [f"loss.layers={layers}"]))
    value = pair.value(loss, batch_of(PACKED))
    assert value.isfinite().all()
    assert (loss.request == Request()) == (layers == "final")
    assert str(layers).split(",")[0].strip("[") in loss.formula()


def test_a_learned_map_begins_as_the_mean_of_all_layers_and_may_become_any_one(pair):
    learned, batch = pair.prepared(composed("loss", "hidden", ["loss.layers=learned"])), batch_of(PACKED)
    assert "ALP-KD" in learned.sources()[-1]
    fixed = pair.prepared(composed("loss", "hidden", ["loss.layers=[[0,2],[1,0]]"]))
    learned.load_state_dict(fixed.state_dict(), strict=False)
    learned.blend.data = torch.tensor([[0.0, 0.0, 99.0], [99.0, 0.0, 0.0]])
    torch.testing.assert_close(pair.value(learned, batch), pair.value(fixed, batch))


def test_heads_that_do_not_pair_are_refused_before_the_training():
    uneven = Pair(model(2, 16, 2, 2, 0), model(2, 32, 4, 4, 1))
    with pytest.raises(BadInput, match=r"2 heads.*4.*heads=mean"):
        uneven.prepared(composed("loss", "attention_maps"))
    for name in ("attention_maps", "attention_scores"):
        loss = uneven.prepared(composed("loss", name, ["loss.heads=mean"]))
        assert uneven.value(loss, batch_of(PACKED)).isfinite().all()


def test_relation_heads_that_do_not_divide_are_refused(pair):
    loss = pair.prepared(composed("loss", "qkv_relation", ["loss.relation_heads=3"]))
    with pytest.raises(BadInput, match="relation_heads"):
        pair.value(loss, batch_of(PACKED))


def test_widths_that_differ_need_a_projection(pair):
    with pytest.raises(BadInput, match=r"16 wide, the teacher's 32.*project=auto"):
        pair.prepared(composed("loss", "hidden", ["loss.project=none"]))


def test_one_projection_for_all_pairs_or_one_each(pair):
    sizes = {
        shared: sum(
            p.numel() for p in pair.prepared(composed("loss", "hidden", [f"loss.shared={shared}"])).parameters()
        )
        for shared in ("true", "false")
    }
    assert sizes == {"true": 16 * 32, "false": 2 * 16 * 32}


@pytest.mark.parametrize("name", ["contrastive", "kernel_alignment", "relational_distance", "relational_angle"])
def test_over_a_whole_micro_batch_samples_are_compared_too(pair, name):
    """And the value then depends on how the batch is cut: why it is not the default."""
    whole = pair.prepared(composed("loss", name, ["loss.within=batch"]))
    apart = pair.prepared(composed("loss", name))
    value = pair.value(whole, batch_of(PACKED))
    assert value.isfinite().all()
    assert (value - pair.value(apart, batch_of(PACKED))).abs().max() > 1e-4
    one = batch_of([(2,)])
    same(pair.value(whole, one), pair.value(apart, one))

"""Values of state losses in float64: against the reference, closed forms, identities, gradients."""

import pytest
import torch
from torch import Tensor

from distill.losses.states.attention import AttentionMaps, AttentionScores
from distill.losses.states.contrastive import Contrastive
from distill.losses.states.hidden import Cosine, Embedding, MeanSquare, Patient
from distill.losses.states.kernel import KernelAlignment
from distill.losses.states.relation import Relation
from distill.losses.states.relational import RelationalAngle, RelationalDistance
from distill.signals.hidden import Hidden
from distill.types import Batch, Head, ModelShape, Outputs
from tests.losses.state_reference import (
    OWNERS,
    angle,
    cosine,
    distance,
    info_nce,
    maps,
    mean_square,
    one_minus_cka,
    patient,
    relation,
    scores,
)

STUDENT = ModelShape(layers=2, width=6, heads=2, vocabulary=9, parameters=0, embedding_parameters=0)
TEACHER = ModelShape(layers=2, width=6, heads=2, vocabulary=9, parameters=0, embedding_parameters=0)
WIDE = ModelShape(layers=2, width=8, heads=2, vocabulary=9, parameters=0, embedding_parameters=0)


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def batch() -> Batch:
    """One row of eight tokens, three documents, all supervised."""
    places = torch.tensor([[0, 1, 2, 3, 0, 0, 1, 2]])
    ids = torch.arange(8)[None]
    inputs = {"input_ids": ids, "position_ids": places}
    where = torch.arange(8)
    return Batch(inputs, inputs, where, where, where, torch.tensor(OWNERS), ("a", "b", "c"))


def answered(width: int, seed: int) -> Outputs:
    """Eight tokens: states, attention maps that respect the documents, and the three projections of two layers."""
    states = drawn(4, 8, width, seed=seed)
    may = (torch.tensor(OWNERS)[:, None] == torch.tensor(OWNERS)).tril()
    scores = drawn(2, 8, 2, 8, seed=seed + 50).masked_fill(~may[None, :, None], -torch.inf)
    modules = {
        f"model.layers.{layer}.self_attn.{part}_proj": drawn(1, 8, width, seed=seed + 60 + 3 * layer + k)
        for layer in range(2)
        for k, part in enumerate("qkv")
    }
    head = Head(torch.zeros(1, width, dtype=torch.float64))
    return Outputs(states[3], head, tuple(states[:3]), tuple(scores.softmax(-1)), modules)


def ready(loss, teacher: ModelShape = TEACHER):
    torch.manual_seed(0)
    loss.prepare(STUDENT, teacher)
    return loss.double()


def value(loss, student: Outputs, teacher: Outputs) -> Tensor:
    return loss(student, Hidden(teacher.hidden, teacher.head, teacher), batch())


def per_token(reference, left: Tensor, right: Tensor, *more: float) -> Tensor:
    made = [reference(left.numpy(), right.numpy(), n, *more) for n in range(8)]
    return torch.tensor(made, dtype=torch.float64)


# --- against it --------------------------------------------------------------------------------------------------

STUDENT_SAID, TEACHER_SAID = answered(6, 0), answered(6, 100)
FINAL = {
    "mean square": (MeanSquare(layers="final"), mean_square, ()),
    "cosine": (Cosine(), cosine, ()),
    "patient": (Patient(layers="final"), patient, ()),
    "distance": (RelationalDistance(), distance, ()),
    "angle": (RelationalAngle(), angle, (8,)),
    "angle of near ones": (RelationalAngle(window=1), angle, (1,)),
    "CKA": (KernelAlignment(layers="final"), one_minus_cka, ()),
}


@pytest.mark.parametrize("name", FINAL)
def test_final_states_equal_the_reference(name):
    loss, reference, more = FINAL[name]
    expected = per_token(reference, STUDENT_SAID.hidden, TEACHER_SAID.hidden, *more)
    made = value(ready(loss), STUDENT_SAID, TEACHER_SAID)
    torch.testing.assert_close(made, expected, rtol=1e-11, atol=1e-13)


def test_pairs_of_layers_are_summed():
    made = value(ready(MeanSquare(layers=[[0, 1], [1, 0]])), STUDENT_SAID, TEACHER_SAID)
    expected = per_token(mean_square, STUDENT_SAID.layers[1], TEACHER_SAID.layers[2])
    expected += per_token(mean_square, STUDENT_SAID.layers[2], TEACHER_SAID.layers[1])
    torch.testing.assert_close(made, expected, rtol=1e-12, atol=0)


def test_embeddings_are_what_the_first_layer_is_given():
    made = value(ready(Embedding()), STUDENT_SAID, TEACHER_SAID)
    torch.testing.assert_close(made, per_token(mean_square, STUDENT_SAID.layers[0], TEACHER_SAID.layers[0]))


def test_a_projection_is_a_matrix_without_a_bias():
    loss, told = ready(MeanSquare(layers="final"), WIDE), answered(8, 100)
    weight = loss.projections[0].linear.weight.detach()  # (8, 6)
    torch.testing.assert_close(weight.T @ weight, torch.eye(6, dtype=torch.float64), rtol=0, atol=1e-6)
    expected = per_token(mean_square, STUDENT_SAID.hidden @ weight.T, told.hidden)
    torch.testing.assert_close(value(loss, STUDENT_SAID, told).detach(), expected, rtol=1e-12, atol=0)


def test_contrastive_equals_the_reference():
    loss, told = ready(Contrastive(dimensions=4, temperature=0.3), WIDE), answered(8, 100)
    own, other = (side[0].linear.weight.detach() for side in (loss.own, loss.told))
    expected = per_token(info_nce, STUDENT_SAID.hidden @ own.T, told.hidden @ other.T, 0.3)
    torch.testing.assert_close(value(loss, STUDENT_SAID, told).detach(), expected, rtol=1e-11, atol=1e-13)


def test_attention_equals_the_reference():
    for layers, pairs in (("uniform", [(0, 0), (1, 1)]), ([[0, 1]], [(0, 1)])):
        for loss, reference in ((AttentionMaps(layers=layers), maps), (AttentionScores(layers=layers), scores)):
            sides = [(STUDENT_SAID.attentions[a], TEACHER_SAID.attentions[b]) for a, b in pairs]
            expected = sum(per_token(reference, a, b) for a, b in sides)
            made = value(ready(loss), STUDENT_SAID, TEACHER_SAID)
            torch.testing.assert_close(made, expected, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("heads", [1, 2, 3, 6])
def test_relations_equal_the_reference(heads):
    loss = ready(Relation(parts=["query", "value"], relation_heads=heads))
    paths = [f"model.layers.1.self_attn.{part}_proj" for part in "qv"]
    expected = sum(
        per_token(relation, STUDENT_SAID.modules[path][0], TEACHER_SAID.modules[path][0], heads) for path in paths
    )
    torch.testing.assert_close(value(loss, STUDENT_SAID, TEACHER_SAID), expected, rtol=1e-11, atol=1e-13)


# --- closed forms and identities ---------------------------------------------------------------------------------


def with_hidden(states: Tensor) -> Outputs:
    return Outputs(states, Head(torch.zeros(1, states.shape[-1], dtype=torch.float64)))


def test_on_paper():
    """Student (3, 4), teacher (4, 3) in each token: ½ · (1 + 1), 1 − 24/25, 2 − 48/25."""
    student, teacher = (with_hidden(torch.tensor([pair] * 8, dtype=torch.float64)) for pair in ((3, 4), (4, 3)))
    two = ModelShape(2, 2, 1, 9, 0, 0)
    for loss, expected in ((MeanSquare(layers="final"), 1.0), (Cosine(), 0.04), (Patient(layers="final"), 0.08)):
        loss.prepare(two, two)
        torch.testing.assert_close(value(loss, student, teacher), torch.full((8,), expected, dtype=torch.float64))


def test_normalised_losses_ignore_the_scale_of_every_vector():
    """I14."""
    factors = torch.rand(8, 1, generator=torch.Generator().manual_seed(3), dtype=torch.float64) * 9 + 0.1
    for loss in (Cosine(), Patient(layers="final")):
        plain = value(ready(loss), STUDENT_SAID, TEACHER_SAID)
        for student, teacher in (
            (with_hidden(STUDENT_SAID.hidden * factors), TEACHER_SAID),
            (STUDENT_SAID, with_hidden(TEACHER_SAID.hidden * factors)),
        ):
            torch.testing.assert_close(value(loss, student, teacher), plain, rtol=1e-12, atol=1e-14)


def test_patient_is_twice_the_cosine_loss():
    twice = 2 * value(ready(Cosine()), STUDENT_SAID, TEACHER_SAID)
    torch.testing.assert_close(value(ready(Patient(layers="final")), STUDENT_SAID, TEACHER_SAID), twice)


def rotation(width: int, seed: int) -> Tensor:
    return torch.linalg.qr(drawn(width, width, seed=seed))[0]


def test_relations_ignore_a_rotation_within_a_relation_head():
    """I14: another basis of every head, on either side; a basis across heads is another relation."""
    loss = ready(Relation(parts=["query", "key", "value"], relation_heads=2))
    plain = value(loss, STUDENT_SAID, TEACHER_SAID)

    def turned(outputs: Outputs, matrix: Tensor) -> Outputs:
        modules = {path: made @ matrix for path, made in outputs.modules.items()}
        return Outputs(outputs.hidden, outputs.head, outputs.layers, outputs.attentions, modules)

    within, across = torch.block_diag(rotation(3, 1), rotation(3, 2)), rotation(6, 3)
    torch.testing.assert_close(value(loss, turned(STUDENT_SAID, within), TEACHER_SAID), plain, rtol=1e-10, atol=1e-13)
    torch.testing.assert_close(value(loss, STUDENT_SAID, turned(TEACHER_SAID, within)), plain, rtol=1e-10, atol=1e-13)
    assert (value(loss, turned(STUDENT_SAID, across), TEACHER_SAID) - plain).abs().max() > 1e-3


def test_geometry_ignores_rotation_scale_and_place():
    """CKA is 1 between states and the same ones turned, scaled and moved; distances and angles agree, too."""
    moved = with_hidden(3.7 * STUDENT_SAID.hidden @ rotation(6, 4) + drawn(1, 6, seed=5))
    for loss in (KernelAlignment(layers="final"), RelationalDistance(), RelationalAngle()):
        assert value(ready(loss), STUDENT_SAID, moved).abs().max() < 1e-12


def test_geometry_does_not_ask_for_equal_widths():
    padded = with_hidden(torch.cat([STUDENT_SAID.hidden, torch.zeros(8, 2, dtype=torch.float64)], -1))
    for loss in (KernelAlignment(layers="final"), RelationalDistance(), RelationalAngle()):
        assert value(ready(loss, WIDE), STUDENT_SAID, padded).abs().max() < 1e-12


def test_the_contrastive_bound():
    """log n for a student that cannot tell, 0 for one that can; a sample of one token has nothing to tell apart."""
    loss = ready(Contrastive(dimensions=6, temperature=0.01))
    loss.told[0].load_state_dict(loss.own[0].state_dict())
    assert value(loss, STUDENT_SAID, STUDENT_SAID).abs().max() < 1e-6
    blind = with_hidden(torch.ones(8, 6, dtype=torch.float64))
    sizes = torch.tensor([4, 4, 4, 4, 1, 3, 3, 3], dtype=torch.float64)
    torch.testing.assert_close(value(loss, STUDENT_SAID, blind).detach(), sizes.log())


def test_scores_are_what_made_the_maps_up_to_a_number_a_row():
    """From raw scores, each row shifted as one likes: the mean square of what is left."""
    may = (torch.tensor(OWNERS)[:, None] == torch.tensor(OWNERS)).tril()
    raw = [drawn(8, 2, 8, seed=seed) for seed in (1, 2)]
    shifted = raw[0] + drawn(8, 2, 1, seed=3)

    def outputs(one: Tensor) -> Outputs:
        map_ = one.masked_fill(~may[:, None], -torch.inf).softmax(-1)
        return Outputs(STUDENT_SAID.hidden, STUDENT_SAID.head, (), (map_, map_))

    loss = ready(AttentionScores(layers="final"))
    made = value(loss, outputs(shifted), outputs(raw[1]))
    gap = (raw[0] - raw[1]).masked_fill(~may[:, None], 0.0)
    count = may.sum(-1)[:, None]
    expected = (gap.square().sum(-1) / count - (gap.sum(-1) / count).square()).mean(1)  # the variance of the gap
    torch.testing.assert_close(made, expected, rtol=1e-11, atol=1e-13)


def test_a_probability_that_was_rounded_to_zero_stays_finite():
    may = torch.tensor([0, 0, 0, 0, 1, 2, 2, 2])
    may = (may[:, None] == may).tril()
    raw = drawn(8, 2, 8, seed=1).float().masked_fill(~may[:, None], -torch.inf)
    leaf = raw.masked_fill(may[:, None] & (torch.arange(8) == 0), -300.0).requires_grad_()
    for loss in (AttentionScores(layers="final"), AttentionMaps()):
        student = Outputs(STUDENT_SAID.hidden.float(), STUDENT_SAID.head, (), (leaf.softmax(-1),) * 2)
        made = value(ready(loss).float(), student, TEACHER_SAID)
        assert made.isfinite().all()
        assert torch.autograd.grad(made.sum(), leaf)[0].isfinite().all()


def test_states_that_do_not_differ_have_no_geometry():
    """And a gradient that is a number: three equal tokens of float32, whose mean does not come out even."""
    same = torch.full((8, 6), 0.1).requires_grad_()
    for loss in (KernelAlignment(layers="final"), RelationalDistance(), RelationalAngle()):
        made = value(ready(loss).float(), with_hidden(same), with_hidden(TEACHER_SAID.hidden.float()))
        assert made.isfinite().all()
        assert torch.autograd.grad(made.sum(), same)[0].isfinite().all()
        assert type(loss) is not KernelAlignment or made.abs().sum() == 0


# --- gradients ---------------------------------------------------------------------------------------------------

DIFFERENTIABLE = {
    "mean square": MeanSquare(layers="final"),
    "cosine": Cosine(),
    "patient": Patient(layers="final"),
    "distance": RelationalDistance(),
    "angle": RelationalAngle(window=2),
    "contrastive": Contrastive(dimensions=4, temperature=0.3),
    "CKA": KernelAlignment(layers="final"),
}


@pytest.mark.parametrize("name", DIFFERENTIABLE)
def test_gradients_of_states(name):
    loss = ready(DIFFERENTIABLE[name], WIDE)
    told, leaf = answered(8, 100), STUDENT_SAID.hidden.clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda states: value(loss, with_hidden(states), told), leaf)


@pytest.mark.parametrize("name", DIFFERENTIABLE)
def test_gradients_of_projections(name):
    loss, told = ready(DIFFERENTIABLE[name], WIDE), answered(8, 100)
    learned = dict(loss.named_parameters())

    def at(*parameters: Tensor) -> Tensor:
        signal = Hidden(told.hidden, told.head, told)
        given = (STUDENT_SAID, signal, batch())
        return torch.func.functional_call(loss, dict(zip(learned, parameters, strict=True)), given)

    if learned:
        assert torch.autograd.gradcheck(at, tuple(learned.values()))


@pytest.mark.parametrize("loss", [AttentionMaps(), AttentionScores(layers="final")], ids=["maps", "scores"])
def test_gradients_of_attention(loss):
    may = (torch.tensor(OWNERS)[:, None] == torch.tensor(OWNERS)).tril()
    leaf = drawn(8, 2, 8, seed=9).requires_grad_()

    def at(raw: Tensor) -> Tensor:
        map_ = raw.masked_fill(~may[:, None], -torch.inf).softmax(-1)
        return value(ready(loss), Outputs(STUDENT_SAID.hidden, STUDENT_SAID.head, (), (map_, map_)), TEACHER_SAID)

    assert torch.autograd.gradcheck(at, leaf)


def test_gradients_of_relations():
    loss, path = ready(Relation(relation_heads=2)), "model.layers.1.self_attn.v_proj"
    leaf = STUDENT_SAID.modules[path].clone().requires_grad_()

    def at(made: Tensor) -> Tensor:
        return value(loss, Outputs(STUDENT_SAID.hidden, STUDENT_SAID.head, modules={path: made}), TEACHER_SAID)

    assert torch.autograd.gradcheck(at, leaf)

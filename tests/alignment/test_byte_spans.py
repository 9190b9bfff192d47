"""Byte spans: identity where nothing differs, exact where something does, and no token shifted."""

from dataclasses import replace

import pytest
import torch

from distill.alignment.byte_spans import ByteSpans
from distill.alignment.groups import spanned
from distill.alignment.identity import Identity
from distill.data.encode import Marks
from distill.data.spelling import spelling
from distill.divergences.kl import forward_kl
from distill.losses.cross_entropy import CrossEntropy
from distill.losses.objective import Objective
from distill.signals.dense import Dense
from tests.alignment.pairs import Sides, paired, prepared
from tests.losses.naive_pass import NOW, composed, vocabulary_losses

REMAINDERS = ["prefix", "bucket", "sorted"]


@pytest.fixture
def batch_of(tmp_path):
    def made(student, teacher, **more):
        return paired(tmp_path / "text", student, teacher, **more).batch(0)

    return made


@pytest.mark.parametrize("remainder", REMAINDERS)
def test_equal_tokenizers_are_identity_bit_for_bit(batch_of, english, remainder):
    sides = Sides.of(batch_of(english, english), english, english)
    alignment = prepared(ByteSpans(remainder), english, english)
    aligned = alignment.align(sides.signal, sides.batch)
    kd = Objective({"kd": composed("loss", "forward_kl"), "ce": CrossEntropy()}, temperature=2.0)
    ours, theirs = (kd(sides.outputs, signal, sides.batch, NOW) for signal in (aligned, sides.signal))
    assert torch.equal(ours.total, theirs.total)
    assert alignment.account() == {"alignment/heard": 1.0}


@pytest.mark.parametrize("remainder", REMAINDERS)
@pytest.mark.parametrize("temperature", [1.0, 3.0])
def test_the_general_path_says_the_same_of_equal_tokenizers(batch_of, english, remainder, temperature):
    sides = Sides.of(batch_of(english, english), english, english)
    alignment = prepared(ByteSpans(remainder), english, english)
    alignment._same = False
    log_p, log_q, heard = sides.pair(alignment, temperature)
    p, q, _ = sides.pair(Identity(), temperature)
    assert heard.all()
    torch.testing.assert_close(forward_kl(log_p, log_q), forward_kl(p, q), rtol=1e-12, atol=1e-12)


def test_a_permuted_vocabulary_is_undone_exactly(batch_of, english):
    """The teacher's ids are shuffled, its tokens are the same strings."""
    batch = batch_of(english, english)
    sides = Sides.of(batch, english, english)
    spelt = spelling(english, Marks.of(english).end)
    shuffled = torch.randperm(len(spelt), generator=torch.Generator().manual_seed(0))
    alignment = ByteSpans()
    alignment.prepare(spelt, [spelt[int(index)] for index in shuffled])
    moved = alignment.align(Dense(sides.teacher[:, shuffled]), batch)
    told = moved.chunk(slice(0, batch.tokens))
    log_p, log_q = moved.pair(told, sides.student, 2.0)
    p, q, _ = sides.pair(Identity(), 2.0)
    torch.testing.assert_close(forward_kl(log_p, log_q), forward_kl(p, q), rtol=1e-12, atol=1e-12)
    assert torch.equal(moved.answers(told, batch.targets), alignment.event(batch.targets, True))


PAIRS = [("english", "code"), ("code", "english"), ("english", "letters"), ("letters", "english"), ("code", "letters")]


@pytest.mark.parametrize(("student", "teacher"), PAIRS)
@pytest.mark.parametrize("remainder", REMAINDERS)
@pytest.mark.parametrize("temperature", [1.0, 2.5])
def test_both_sides_are_distributions(batch_of, student, teacher, remainder, temperature, request):
    one, two = request.getfixturevalue(student), request.getfixturevalue(teacher)
    sides = Sides.of(batch_of(one, two), one, two)
    log_p, log_q, heard = sides.pair(prepared(ByteSpans(remainder), one, two), temperature)
    assert 0 < heard.sum() <= sides.batch.tokens
    for side in (log_p, log_q):
        torch.testing.assert_close(side.exp().sum(-1), torch.ones(sides.batch.tokens).double(), rtol=1e-5, atol=0)
    assert torch.equal(log_p[~heard], log_q[~heard])
    assert (forward_kl(log_p, log_q) > -1e-12).all()


def test_beside_bytes_the_next_byte_is_compared_exactly(batch_of, english, letters):
    """At a token that both have, P(next byte) is the sum over the student's tokens that begin with it."""
    sides = Sides.of(batch_of(english, letters), english, letters)
    alignment = prepared(ByteSpans(), english, letters)
    signal = alignment.align(sides.signal, sides.batch)
    told = signal.chunk(slice(0, sides.batch.tokens))
    log_p, log_q = signal.pair(told, sides.student, 1.0)
    spelt, q = spelling(english, 0), sides.student.softmax(-1)
    first = {byte: [i for i, word in enumerate(spelt) if word and i and word[0] == byte] for byte in range(256)}
    single = {word: i for i, word in enumerate(spelling(letters)) if word}
    rows = (told[1] & (told[2] < 0)).nonzero()[:, 0]
    assert rows.numel()
    for byte in b"te, ":
        event = alignment.event(torch.tensor([single[bytes([byte])]]), False)
        torch.testing.assert_close(log_q[rows, event].exp(), q[rows][:, first[byte]].sum(-1))
        places = signal.match.rows[rows]
        torch.testing.assert_close(log_p[rows, event].exp(), sides.teacher.softmax(-1)[places, single[bytes([byte])]])


def test_merged_spans_have_the_probability_of_the_chain_rule(batch_of, english, letters):
    sides = Sides.of(batch_of(english, letters), english, letters)
    signal = prepared(ByteSpans(), english, letters).align(sides.signal, sides.batch)
    told, groups = signal.chunk(slice(0, sides.batch.tokens)), spanned(sides.signal, sides.batch)
    log_p, log_q = signal.pair(told, sides.student, 1.0)
    p, q = sides.teacher.log_softmax(-1), sides.student.log_softmax(-1)
    apart = (told[2] >= 0).nonzero()[:, 0].tolist()
    assert len(apart) > 5
    for row in apart:
        theirs = (groups.teacher_groups == groups.groups[row]).nonzero()[:, 0]
        chain = p[theirs, sides.batch.spans.teacher_targets[theirs]].sum()
        torch.testing.assert_close(log_p[row, -1], chain, rtol=1e-10, atol=0)
        torch.testing.assert_close(log_q[row, -1], q[row, sides.batch.targets[row]], rtol=1e-10, atol=0)
    answers = signal.answers(told, sides.batch.targets)
    assert (answers[apart] == log_p.shape[1] - 1).all()


def test_the_first_answer_token_is_scored_and_nothing_behind_the_last(batch_of, english, code):
    """Causal shift: what stands beside the student's first target predicts the teacher's first target."""
    batch = batch_of(english, code, packing=False, sequence_length=400)
    told = spanned(Dense(torch.zeros(batch.spans.teacher_targets.numel(), 3)), batch)
    for owner in range(len(batch.samples)):
        mine = (batch.owners == owner).nonzero()[:, 0]
        theirs = (batch.spans.teacher_owners == owner).nonzero()[:, 0]
        assert told.groups[mine[0]] == told.teacher_groups[theirs[0]] >= 0
        assert told.groups[mine[-1]] == told.teacher_groups[theirs[-1]] >= 0  # the end mark
    assert (told.groups >= 0).all()
    assert torch.equal(batch.spans.starts[told.first], batch.spans.teacher_starts[told.teacher_first])


def test_words_before_the_text_do_not_move_it(batch_of, english, code):
    """A template: the teacher's prompt is longer, its supervised tokens are the same."""
    batch = batch_of(english, code)
    sides = Sides.of(batch, english, code)
    other = replace(batch, teacher_positions=batch.teacher_positions + 7)
    ours = Sides(other, sides.student, sides.teacher).pair(prepared(ByteSpans(), english, code))
    theirs = sides.pair(prepared(ByteSpans(), english, code))
    assert all(torch.equal(one, two) for one, two in zip(ours, theirs, strict=True))


@pytest.mark.parametrize("name", [name for name in vocabulary_losses() if composed("loss", name).needs == {"logits"}])
def test_every_loss_reads_it_and_a_token_that_is_not_heard_adds_nothing(batch_of, english, code, name):
    sides = Sides.of(batch_of(code, english), code, english)
    alignment = prepared(ByteSpans(), code, english)
    signal = alignment.align(sides.signal, sides.batch)
    heard = signal.match.heard
    assert not heard.all()
    sides.student.requires_grad_()
    weighed = Objective({"kd": composed("loss", name)}, chunk=7)(sides.outputs, signal, sides.batch, NOW)
    (slope,) = torch.autograd.grad(weighed.total, sides.student)
    assert torch.isfinite(slope).all()
    assert (slope[~heard] == 0).all()
    assert slope[heard].abs().sum() > 0
    whole = Objective({"kd": composed("loss", name)}, chunk=999)(sides.outputs, signal, sides.batch, NOW)
    torch.testing.assert_close(whole.total, weighed.total, rtol=1e-10, atol=1e-12)


def test_a_batch_in_which_the_teacher_was_shown_nothing_is_silent(batch_of, english, code):
    batch = batch_of(english, code)
    empty = torch.zeros(0, dtype=torch.int64)
    spans = replace(batch.spans, teacher_targets=empty, teacher_owners=empty, teacher_starts=empty, teacher_ends=empty)
    silent = replace(batch, spans=spans, teacher_positions=empty)
    sides = Sides.of(silent, english, code)
    log_p, log_q, heard = sides.pair(prepared(ByteSpans(), english, code))
    assert not heard.any()
    assert torch.equal(log_p, log_q)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")  # torch warns of itself
@pytest.mark.parametrize("remainder", REMAINDERS)
def test_compiled_equals_eager(batch_of, english, letters, remainder):
    sides = Sides.of(batch_of(english, letters), english, letters)
    signal = prepared(ByteSpans(remainder), english, letters).align(sides.signal, sides.batch)
    totals = [
        Objective({"kd": composed("loss", "forward_kl")}, compile=compiled)(
            sides.outputs, signal, sides.batch, NOW
        ).total
        for compiled in (False, True)
    ]
    torch.testing.assert_close(*totals)


def test_what_is_dropped_is_counted(batch_of, english, code):
    alignment = prepared(ByteSpans(), code, english)
    sides = Sides.of(batch_of(code, english), code, english)
    heard = alignment.align(sides.signal, sides.batch).match.heard
    assert alignment.account()["alignment/heard"] == pytest.approx(heard.float().mean().item())
    assert alignment.account() == {}

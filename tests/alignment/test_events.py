"""Events of two vocabularies: a partition of each, the tokens themselves where the vocabularies are equal."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from distill.alignment.events import EXCLUDED, Coarsening, by_prefix, by_string, unmatched
from distill.alignment.remainder import Remainder

STRINGS = st.lists(st.binary(min_size=1, max_size=4), min_size=1, max_size=12, unique=True)
BYTES = [bytes([byte]) for byte in b"abcthe"]


def test_equal_vocabularies_are_their_own_events():
    words = [b"t", b"the", b"theory", None, b"a"]
    found = by_prefix(words, words)
    assert found.student == found.teacher == (0, 1, 2, EXCLUDED, 3)
    assert by_string(words, words) == found


def test_beside_bytes_an_event_is_the_next_byte():
    words = [b"the", b"tea", b"a", b"cab", b"t"]
    found = by_prefix(words, BYTES)
    assert [found.student[i] for i in (0, 1, 4)] == [found.teacher[BYTES.index(b"t")]] * 3
    assert found.student[3] == EXCLUDED  # no c of its own: the student's cannot say it byte by byte
    assert found.teacher[BYTES.index(b"h")] == EXCLUDED


def test_a_longer_string_falls_to_the_longest_beginning_that_both_know():
    found = by_prefix([b"t", b"the", b"theo"], [b"t", b"the", b"theory", b"ten"])
    assert found.student == (0, 1, 1)
    assert found.teacher == (0, 1, 1, 0)


@given(student=STRINGS, teacher=STRINGS, text=st.binary(max_size=8))
def test_events_are_of_the_text_for_tokenizers_that_take_the_longest_token(student, teacher, text):
    """The event of the first token is the longest string of both vocabularies that the text begins with."""
    found = by_prefix(student, teacher)
    first = [
        max((word for word in side if text.startswith(word)), key=len, default=None) for side in (student, teacher)
    ]
    if None in first:
        return
    ours, theirs = found.student[student.index(first[0])], found.teacher[teacher.index(first[1])]
    assert ours == theirs


@given(student=STRINGS, teacher=STRINGS)
def test_every_event_has_tokens_on_both_sides(student, teacher):
    for found in (by_prefix(student, teacher), by_string(student, teacher)):
        for side in (found.student, found.teacher):
            assert {event for event in side if event != EXCLUDED} == set(range(found.count))


@given(events=st.lists(st.integers(-1, 4), min_size=5, max_size=15), seed=st.integers(0, 99))
def test_coarsening_sums_probabilities(events, seed):
    logs = (4 * torch.randn(3, len(events), generator=torch.Generator().manual_seed(seed)).double()).log_softmax(-1)
    logs.requires_grad_()
    coarse = Coarsening(events, 5)(logs)
    expected = torch.zeros(3, 5, dtype=torch.float64)
    for index, event in enumerate(events):
        if event != EXCLUDED:
            expected[:, event] += logs[:, index].detach().exp()
    torch.testing.assert_close(coarse.exp(), expected, rtol=1e-12, atol=0)
    weights = torch.randn(3, 5, generator=torch.Generator().manual_seed(seed + 1)).double()
    (slope,) = torch.autograd.grad((coarse.exp() * weights).sum(), logs)
    naive = torch.stack([weights[:, e] if e >= 0 else weights[:, 0] * 0 for e in events], 1) * logs.detach().exp()
    torch.testing.assert_close(slope, naive, rtol=1e-10, atol=1e-15)


def test_what_is_very_unlikely_keeps_its_value_and_its_gradient():
    logs = torch.tensor([[-300.0, -301.0, 0.0, -torch.inf, -torch.inf]], requires_grad=True)
    coarse = Coarsening([0, 0, 1, 2, 2], 3)(logs)
    torch.testing.assert_close(coarse[0, 0], torch.tensor(-300 + torch.log1p(torch.tensor(-1.0).exp()).item()))
    assert coarse[0, 2] == -torch.inf
    (slope,) = torch.autograd.grad(coarse[0, 0], logs)
    assert torch.isfinite(slope).all()
    torch.testing.assert_close(slope.sum(), torch.tensor(1.0))


@pytest.mark.parametrize("by_rank", [False, True])
def test_a_remainder_keeps_all_mass(by_rank):
    logs = torch.randn(4, 9).double().log_softmax(-1)
    rest = Remainder([1, 3, 4], [0, 2, 5, 7, 8], by_rank)
    for student, ids in ((True, [1, 3, 4]), (False, [0, 2, 5, 7, 8])):
        found = rest(logs, student)
        assert found.shape == (4, 3 if by_rank else 1)
        torch.testing.assert_close(found.exp().sum(1), logs[:, ids].exp().sum(1))
        assert (found[:, :-1].diff(dim=1) <= 0).all()


def test_what_is_in_no_event_is_known():
    words = [b"a", None, b"zz"]
    assert unmatched(words, by_string(words, [b"a"]).student) == [2]

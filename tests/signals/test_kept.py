"""What a signal is after it was written down and read again: the same bits, or as near as its dtype says."""

import pytest
import torch

from distill.errors import BadInput, NumericalStop
from distill.signals.dense import Dense
from distill.signals.hidden import Hidden
from distill.signals.kept.draws import KeptDraws
from distill.signals.kept.everything import KeptLogits
from distill.signals.kept.kept import Room, Span
from distill.signals.kept.layers import KeptLayers
from distill.signals.kept.likeliest import KeptTopK
from distill.signals.kept.states import KeptStates
from distill.types import Head, Outputs

V, D, N = 300, 24, 700
ROOM = Room(V, D, layers=4)
SPANS = [Span(0, 100, b"a" * 20), Span(100, 101, b"b" * 20), Span(101, 600, b"c" * 20), Span(600, N, b"d" * 20)]
CPU = torch.device("cpu")
HEADED = [KeptStates(dtype) for dtype in ("float32", "float16", "bfloat16", "int8")]
HEADED += [KeptLayers([1, -1], dtype="float32"), KeptLayers("all", True, "int8")]
OTHERS = [
    KeptLogits("float32"),
    KeptLogits("float16"),
    KeptTopK(8),
    KeptTopK(8, 2.0, "float32"),
    KeptTopK(1000),
    KeptDraws(20),
]


def teacher(scale: float = 1.0) -> Hidden:
    generator = torch.Generator().manual_seed(0)
    states = scale * torch.randn(N, D, generator=generator)
    head = Head(torch.randn(V, D, generator=generator) * 0.5)
    layers = (*(scale * torch.randn(N, D, generator=generator) for _ in range(4)), states)
    return Hidden(states, head, Outputs(states, head, layers))


def back(kind, signal, order=(0, 1, 2, 3)):
    rows = kind.write(signal, SPANS, ROOM)
    spans = [SPANS[i] for i in order]
    views = [memoryview(rows[i]) for i in order]
    return kind.read(views, [s.stop - s.start for s in spans], ROOM, signal.head, CPU), torch.cat(
        [torch.arange(s.start, s.stop) for s in spans]
    )


def test_float32_gives_back_the_same_bits():
    signal = teacher()
    states, _ = back(HEADED[0], signal)
    assert torch.equal(states.hidden, signal.hidden)
    inner, _ = back(HEADED[4], signal)
    assert torch.equal(inner.hidden, signal.hidden)
    assert torch.equal(inner.outputs.layers[2], signal.outputs.layers[2])
    dense, _ = back(OTHERS[0], signal)
    for start in range(0, N, 256):
        rows = slice(start, start + 256)
        assert torch.equal(dense.chunk(rows)[0], signal.chunk(rows)[0])


@pytest.mark.parametrize("kind", [*HEADED, *OTHERS], ids=lambda k: "-".join(map(str, k.told.values())))
def test_a_token_is_within_its_bound(kind):
    """What is stored against what was said: float32 exactly, the others by their rounding."""
    signal = teacher()
    kept, _ = back(kind, signal)
    gap = kind.gap(kept, signal, SPANS, ROOM)
    assert gap.shape == (N,)
    assert gap.max() <= kind.bound
    other = teacher(scale=-1.0)
    assert kind.gap(kept, other, SPANS, ROOM).min() > kind.bound


def test_a_teacher_that_tells_its_likeliest_tokens_is_compared_by_them():
    told, _ = back(KeptTopK(8, 1.0, "float32"), teacher())
    kind = KeptTopK(5, 1.0, "float16")
    rows = [memoryview(row) for row in kind.write(told, SPANS, ROOM)]
    kept = kind.read(rows, [s.stop - s.start for s in SPANS], ROOM, None, CPU)
    assert kind.gap(kept, told, SPANS, ROOM).max() <= kind.bound
    other, _ = back(KeptTopK(8, 1.0, "float32"), teacher(scale=-1.0))
    assert kind.gap(kept, other, SPANS, ROOM).min() > kind.bound


def test_layers_that_are_not_kept_are_refused_and_the_others_counted():
    kept, _ = back(KeptLayers([0, -1]), teacher())
    layers = kept.outputs.layers
    assert len(layers) == 5
    assert torch.equal(layers[4], kept.hidden)
    assert torch.equal(layers[-1], kept.hidden)
    with pytest.raises(BadInput, match=r"asks for layer 2, which is not kept.*layers=\[…,2\]"):
        layers[3]
    with pytest.raises(BadInput, match=r"the embedding's output.*embedding=true"):
        layers[0]
    with pytest.raises(BadInput, match="asks for layer 1"):
        layers[1:]
    with pytest.raises(BadInput, match="the teacher has layers 0 to 3"):
        KeptLayers([4]).write(teacher(), SPANS, ROOM)


@pytest.mark.parametrize("kind", [*HEADED, *OTHERS], ids=lambda k: "-".join(map(str, k.told.values())))
def test_samples_are_read_in_any_company(kind):
    """Rows in another order, and one twice, say the same about the same tokens."""
    signal = teacher()
    straight, _ = back(kind, signal)
    shuffled, places = back(kind, signal, [2, 0, 3, 2, 1])
    rows = slice(0, len(places))
    logits = torch.zeros(len(places), V)
    ours = shuffled.pair(shuffled.chunk(rows), logits, kind.tied or 1.0)[0]
    moved = straight.at(places)
    theirs = moved.pair(moved.chunk(rows), logits, kind.tied or 1.0)[0]
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-5)


@pytest.mark.parametrize("kind", [*HEADED, *OTHERS[:5]], ids=lambda k: "-".join(map(str, k.told.values())))
def test_the_size_is_the_one_that_is_told(kind):
    rows = kind.write(teacher(), SPANS, ROOM)
    assert sum(map(len, rows)) == N * kind.bytes_per_token(ROOM)


def test_draws_are_smaller_than_told_and_a_function_of_the_sample():
    kind = KeptDraws(20)
    rows = kind.write(teacher(), SPANS, ROOM)
    assert sum(map(len, rows)) <= N * kind.bytes_per_token(ROOM)
    alone = kind.write(teacher(), SPANS[2:3], ROOM)
    assert alone[0] == rows[2]
    assert KeptDraws(20, seed=1).write(teacher(), SPANS[2:3], ROOM) != alone


def test_what_does_not_fit_is_refused():
    with pytest.raises(BadInput, match="too large for float16"):
        KeptStates("float16").write(teacher(1e6), SPANS, ROOM)
    KeptStates("bfloat16").write(teacher(1e6), SPANS, ROOM)
    with pytest.raises(BadInput, match="no final state"):
        KeptStates().write(Dense(torch.zeros(N, V)), SPANS, ROOM)


@pytest.mark.parametrize("kind", [HEADED[1], OTHERS[1], OTHERS[2], OTHERS[5]], ids=lambda k: type(k).__name__)
def test_nan_is_not_kept(kind):
    signal = teacher()
    signal.hidden[613, 3] = torch.nan
    with pytest.raises(NumericalStop, match=SPANS[3].name.hex()[:12]):
        kind.write(signal, SPANS, ROOM)

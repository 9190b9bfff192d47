"""A stored teacher says what the live one says, is asked once, and never gives one text's word for another's."""

from dataclasses import replace

import pytest
import torch

from distill.data.collate import Collate
from distill.data.packing import Piece
from distill.divergences.kl import forward_kl
from distill.errors import BadInput
from distill.losses.divergence import Divergence
from distill.losses.objective import Objective
from distill.losses.states.hidden import Embedding, MeanSquare, Patient
from distill.models import answer, shape
from distill.signals.hidden import Hidden
from distill.signals.kept.draws import KeptDraws
from distill.signals.kept.everything import KeptLogits
from distill.signals.kept.layers import KeptLayers
from distill.signals.kept.likeliest import KeptTopK
from distill.signals.kept.states import KeptStates
from distill.teachers.live import Live
from distill.teachers.samples import samples
from distill.teachers.stored import Stored
from distill.teachers.verification import allowed, gaps
from distill.types import Batch, Moment, Request

LENGTH = 24


@pytest.fixture(scope="module")
def folder(tmp_path_factory, tiny_llama, tokenizer) -> str:
    path = tmp_path_factory.mktemp("teacher")
    model = tiny_llama(width=24, seed=3)
    with torch.no_grad():
        model.get_input_embeddings().weight *= 30  # tied: logits with a spread of 3, as a trained model's
    model.save_pretrained(path)
    tokenizer.save_pretrained(path)
    return str(path)


def pieces(count: int = 40, seed: int = 0) -> list[Piece]:
    generator = torch.Generator().manual_seed(seed)
    made = []
    for _ in range(count):
        length = int(torch.randint(3, LENGTH, (), generator=generator))
        ids = torch.randint(1, 300, (length + 1,), generator=generator).numpy().astype("int32")
        made.append(Piece(ids[:-1], ids[1:], length))
    return made


def batches(rows=2, packing=True, order=None, count=40) -> list[Batch]:
    """Two pieces a row if they fit, in any order, ``rows`` rows a batch."""
    made = pieces(count)
    chosen = [made[i] for i in (order or range(count))]
    laid = [[piece] for piece in chosen]
    if packing:
        laid = [chosen[i : i + 2] for i in range(0, count, 2)]
    collate = Collate(2 * LENGTH, 0, packing)
    return [collate(laid[i : i + rows]) for i in range(0, len(laid), rows)]


def trained(
    teacher, tiny_llama, text, temperature=1.0, epochs=2, inside=None, layers=1
) -> tuple[list[float], dict[str, torch.Tensor]]:
    """Losses and weights of a student after two epochs of Adam."""
    student = tiny_llama(layers=layers, width=8, seed=1)
    more = {name: make() for name, make in (inside or {}).items()}
    objective = Objective({"kd": Divergence(forward_kl), **more}, temperature, chunk=64)
    torch.manual_seed(7)
    objective.prepare(shape(student), teacher.shape)
    optimiser = torch.optim.Adam(student.parameters(), 1e-2)
    losses = []
    for step, batch in enumerate(text * epochs):
        outputs = answer(student, batch.inputs, batch.positions, objective.request, 300)
        weighed = objective(outputs, teacher.teach(batch, objective.teacher_request), batch, Moment(step, len(text)))
        (weighed.total / weighed.tokens).backward()
        optimiser.step()
        optimiser.zero_grad()
        losses.append(weighed.total.item() / weighed.tokens)
    return losses, {name: value.clone() for name, value in student.state_dict().items()}


# ----------------------------------------------------------------------------------------------------- stored = live

BOUNDS = [
    (KeptStates("float32"), 1.0, 0.0),
    (KeptStates("float32"), 2.0, 0.0),
    (KeptLogits("float32"), 1.0, 0.0),
    (KeptLogits("float32"), 4.0, 0.0),
    (KeptStates("float16"), 1.0, 1e-3),
    (KeptStates("float16"), 4.0, 1e-3),
    (KeptLogits("float16"), 1.0, 1e-3),
    (KeptStates("bfloat16"), 1.0, 1e-3),
    (KeptStates("int8"), 1.0, 3e-3),
    (KeptTopK(300, 2.0, "float32"), 2.0, 1e-5),
]


def named(kind):
    return "-".join([type(kind).__name__, *map(str, kind.told.values())])


@pytest.mark.parametrize(("kind", "temperature", "bound"), BOUNDS, ids=lambda x: str(getattr(x, "told", x)))
def test_a_run_from_the_store_is_the_live_run(folder, tiny_llama, tmp_path, kind, temperature, bound):
    """Losses within the bound of each dtype; float32 gives the same weights, bit for bit, on the same batches."""
    text = batches()
    losses, weights = trained(Live(folder), tiny_llama, text, temperature)
    for _ in range(2):  # filling it on the way, then reading it
        teacher = Stored(Live(folder), kind, str(tmp_path))
        found, other = trained(teacher, tiny_llama, text, temperature)
        assert max(abs(one - two) for one, two in zip(losses, found, strict=True)) <= bound
        if bound == 0.0:
            assert all(torch.equal(weights[name], other[name]) for name in weights)
    assert teacher.passes == 0


def test_order_packing_and_batch_size_do_not_matter(folder, tmp_path):
    """One fill serves every way of laying the same samples out, to the rounding of the teacher itself."""
    first = Stored(Live(folder), KeptStates("float32"), str(tmp_path))
    assert sum(first.fill(batches())) == sum(len(piece.inputs) for piece in pieces())
    order = torch.randperm(40, generator=torch.Generator().manual_seed(1)).tolist()
    for text in (batches(rows=5), batches(order=order), batches(packing=False, rows=7)):
        teacher = Stored(Live(folder), KeptStates("float32"), str(tmp_path))
        for batch in text:
            kept, live = teacher.teach(batch, Request()), Live(folder).teach(batch, Request())
            torch.testing.assert_close(kept.outputs.hidden, live.outputs.hidden, rtol=1e-4, atol=1e-5)
        assert teacher.passes == 0


def test_a_store_is_filled_once_and_goes_on(folder, tmp_path):
    teacher = Stored(Live(folder), KeptStates(), str(tmp_path), shard_bytes=2000)
    stopped = teacher.fill(batches())
    for _ in range(4):
        next(stopped)
    stopped.close()
    again = Stored(Live(folder), KeptStates(), str(tmp_path), shard_bytes=2000)
    new = list(again.fill(batches()))
    assert new[:4] == [0] * 4
    assert all(new[4:])
    assert len(list(Stored(Live(folder), KeptStates(), str(tmp_path)).fill(batches()))) == 10
    assert teacher.passes + again.passes == 10


def test_a_sweep_asks_once(folder, tiny_llama, tmp_path):
    passes = 0
    for temperature in (1.0, 2.0, 4.0):
        teacher = Stored(Live(folder), KeptStates(), str(tmp_path))
        trained(teacher, tiny_llama, batches(), temperature)
        passes += teacher.passes
    assert passes == len(batches())


def test_a_full_store_needs_no_weights(folder, tmp_path, monkeypatch):
    list(Stored(Live(folder), KeptStates(), str(tmp_path)).fill(batches()))
    monkeypatch.setattr("distill.teachers.live.load_model", lambda *_: pytest.fail("weights were loaded"))
    teacher = Stored(Live(folder, cache=str(tmp_path)), KeptStates(), str(tmp_path))
    teacher.share(300)
    teacher.check_packing()
    teacher.ready()
    for batch in batches():
        teacher.teach(batch, Request())
    assert teacher.shape.layers == 2


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("part", ["shards/*.shard", "head/head.safetensors"])
def test_what_is_damaged_is_asked_again_and_nothing_else(folder, tmp_path, part):
    first = Stored(Live(folder), KeptStates(), str(tmp_path), shard_bytes=2000)
    list(first.fill(batches()))
    file = next(first.store.folder.glob(part))
    data = bytearray(file.read_bytes())
    data[-5] ^= 4
    file.write_bytes(data)
    teacher = Stored(Live(folder), KeptStates(), str(tmp_path))
    for batch in batches():
        kept, live = teacher.teach(batch, Request()), Live(folder).teach(batch, Request())
        torch.testing.assert_close(kept.outputs.hidden.float(), live.outputs.hidden, rtol=1e-3, atol=1e-4)
    assert teacher.store.damaged == 1
    assert teacher.passes <= 2


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_losses_on_states_run_from_the_store(folder, tiny_llama, tmp_path, dtype):
    """PKD, the embedding, a learned mixture of all layers; float32 gives the weights of the live run, bit for bit."""
    losses = {
        "patient": lambda: Patient(layers="skip"),
        "embedding": Embedding,
        "mixture": lambda: MeanSquare(layers="learned"),
    }
    text = batches(count=12)
    found, weights = trained(Live(folder), tiny_llama, text, inside=losses, layers=2)
    for _ in range(2):
        teacher = Stored(Live(folder), KeptLayers("all", True, dtype), str(tmp_path))
        kept, other = trained(teacher, tiny_llama, text, inside=losses, layers=2)
        assert max(abs(one - two) for one, two in zip(found, kept, strict=True)) <= (0 if dtype == "float32" else 1e-2)
        if dtype == "float32":
            assert all(torch.equal(weights[name], other[name]) for name in weights)
    assert teacher.passes == 0


@pytest.mark.parametrize(
    ("kind", "request_", "said"),
    [
        (KeptStates(), Request(layers=True), "keeps no layers.*signal@teacher.signal=layers"),
        (KeptTopK(8), Request(modules=("model.norm",)), "keeps no modules"),
        (KeptLayers(), Request(layers=True, attentions=True), "keeps no attentions.*teacher=live"),
    ],
)
def test_what_is_not_kept_is_refused_with_a_remedy(folder, tmp_path, kind, request_, said):
    with pytest.raises(BadInput, match=said):
        Stored(Live(folder), kind, str(tmp_path)).teach(batches()[0], request_)


def test_a_layer_that_was_not_chosen_is_refused(folder, tiny_llama, tmp_path):
    teacher = Stored(Live(folder), KeptLayers([-1]), str(tmp_path))
    with pytest.raises(BadInput, match="asks for layer 0, which is not kept"):
        trained(teacher, tiny_llama, batches(count=4), inside={"p": lambda: Patient(layers="skip")}, layers=2)


OTHER_KINDS = [KeptTopK(9), KeptTopK(8, 2.0), KeptTopK(8, 1.0, "float32"), KeptStates(), KeptLogits(), KeptDraws()]


# ----------------------------------------------------------------------------------------------- B3: verified, tampered


DTYPES: list = [KeptStates("float32"), KeptStates("float16"), KeptStates("bfloat16"), KeptStates("int8")]
STATED = {"float32": 0.0, "float16": 1e-3, "bfloat16": 8e-3, "int8": 4e-3}


@pytest.mark.parametrize("kind", [*DTYPES, *OTHER_KINDS, KeptLayers(), KeptLogits("float32")], ids=named)
def test_asked_again_the_teacher_says_the_same(folder, tmp_path, kind):
    """A thousand tokens: within the stated bound of the dtype in the same batches, float32 exactly."""
    teacher = Stored(Live(folder), kind, str(tmp_path))
    text = batches(count=90)
    list(teacher.fill(text))
    assert sum(batch.tokens for batch in text) > 1000
    worst = max(float(gaps(teacher, batch).max()) for batch in text)
    assert worst <= kind.bound
    if kind in DTYPES:
        assert kind.bound == STATED[kind.dtype]


def test_in_other_company_a_teacher_differs_by_its_own_rounding_alone(folder, tmp_path):
    """What was asked in packed rows is asked again in rows of one piece: what ``cache verify`` allows is enough."""
    for kind in DTYPES:
        teacher = Stored(Live(folder), kind, str(tmp_path))
        list(teacher.fill(batches()))
        worst = max(float(gaps(teacher, batch).max()) for batch in batches(packing=False, rows=7))
        assert worst <= allowed(teacher)


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("kind", OTHER_KINDS[1:], ids=lambda k: type(k).__name__)
def test_a_word_changed_on_purpose_is_found(folder, tmp_path, kind, seed, monkeypatch):
    """50 of 50: the rows of a teacher that thinks the opposite, with good checksums."""
    teacher = Stored(Live(folder), kind, str(tmp_path))
    batch, write = batches()[seed], type(kind).write

    def forged(self, signal, spans, room):
        outputs = replace(signal.outputs, hidden=-signal.outputs.hidden)
        return write(self, Hidden(outputs.hidden, outputs.head, outputs), spans, room)

    monkeypatch.setattr(type(kind), "write", forged)
    teacher.teach(batch, Request())
    monkeypatch.undo()
    assert gaps(teacher, batch).max() > allowed(teacher)


@pytest.mark.parametrize("kind", OTHER_KINDS, ids=lambda k: "-".join(map(str, k.told.values())))
def test_a_row_of_another_shape_is_refused(folder, tmp_path, kind, monkeypatch):
    teacher = Stored(Live(folder), kind, str(tmp_path))
    write = type(kind).write
    monkeypatch.setattr(type(kind), "write", lambda *words: [b"\xff" * (len(row) - 1) for row in write(*words)])
    with pytest.raises(BadInput, match="another size than its kind"):
        teacher.teach(batches()[0], Request())


# ------------------------------------------------------------------------------------------------ B7: the wrong text


def tampered(batch: Batch, kind: str) -> Batch:
    ids = batch.teacher_inputs["input_ids"].clone()
    if kind == "shifted by one":
        ids = ids.roll(1, dims=1)
    elif kind == "first token dropped":
        ids = ids.roll(-1, dims=1)
    elif kind == "rows swapped":
        ids = ids.flip(0)
    elif kind == "another prompt":
        ids[:, 0] = (ids[:, 0] + 1) % 300
    else:
        ids[:, 1] = (ids[:, 1] + 7) % 300
    return replace(batch, teacher_inputs={**batch.teacher_inputs, "input_ids": ids})


@pytest.mark.parametrize("number", range(10))
@pytest.mark.parametrize(
    "kind", ["shifted by one", "first token dropped", "rows swapped", "another prompt", "another token"]
)
def test_a_text_that_is_not_the_one_of_its_name_is_refused(folder, tmp_path, kind, number):
    batch = batches()[number]
    Stored(Live(folder), KeptStates(), str(tmp_path)).teach(batch, Request())
    teacher = Stored(Live(folder), KeptStates(), str(tmp_path))
    with pytest.raises(BadInput, match="input ids are not those"):
        teacher.teach(tampered(batch, kind), Request())


def test_a_prompt_before_what_is_supervised_is_part_of_the_check():
    """Only the answer is supervised; the question's ids are compared all the same."""
    batch = batches(count=2, packing=False)[0]
    last = [int(i) for i in torch.tensor([(batch.owners == k).nonzero().max() for k in range(2)])]
    kept = torch.tensor(last)
    parts = {n: getattr(batch, n)[kept] for n in ("positions", "teacher_positions", "targets", "owners")}
    answers = replace(batch, **parts)
    other = tampered(answers, "another prompt")
    for one, two in zip(samples(answers), samples(other), strict=True):
        assert one.span.name == two.span.name
        assert one.check != two.check

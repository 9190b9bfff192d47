"""An ONNX file in the place of a model: what every measure asks of a model, it answers as its student does."""

import warnings

import numpy as np
import pytest
import torch

from distill.cached import kept
from distill.errors import BadInput
from distill.evaluation.answers import continued
from distill.evaluation.decoding import written
from distill.evaluation.energy import Energy
from distill.evaluation.flops import Flops
from distill.evaluation.footprint import Footprint
from distill.evaluation.speed import Speed
from distill.evaluation.subject import File, Subject
from distill.evaluation.timed import Timed
from distill.export.export import Bound, weights_in, write_facts
from distill.export.file_model import FileModel, file_of
from distill.export.onnx import Onnx
from distill.export.onnx_runner import OnnxRunner
from distill.models import answer, head
from distill.signals.hidden import Hidden

for package in ("onnx", "onnxscript", "onnxruntime"):
    pytest.importorskip(package, reason=f"{package} is in the extra onnx")


@pytest.fixture(scope="module")
def student(sharp):
    """With 20 rows beyond the ids that are known."""
    return sharp(vocabulary=320)


@pytest.fixture(scope="module")
def folder(student, tmp_path_factory):
    export, folder = Onnx(Bound(kl=1e9, agreement=0.0, bits_per_byte=1e9), "float32"), tmp_path_factory.mktemp("file")
    write_facts(export, "student-onnx", export.write(student, folder), student, folder)
    return folder


@pytest.fixture
def file(folder, student):
    return Subject("student-onnx", FileModel(OnnxRunner(folder)), student.tokenizer, 300)


def test_packed_rows_have_the_students_logits(file, student, held_out):
    """Through the same pass and the same signal as every measure of a text."""
    for batch in held_out:
        told = []
        for subject in (file, student):
            outputs = answer(subject.model, batch.inputs, batch.positions, vocabulary=300)
            (logits,) = Hidden(outputs.hidden, outputs.head).chunk(slice(None))
            told.append(logits)
        torch.testing.assert_close(told[0], told[1], atol=1e-3, rtol=0)


def test_rows_padded_on_the_right_have_the_students_logits(file, student):
    ids = torch.randint(1, 300, (2, 7), generator=torch.Generator().manual_seed(0))
    there = torch.arange(7) < torch.tensor([[7], [4]])
    with torch.no_grad():
        own = student.model(input_ids=ids, attention_mask=there.long()).logits[..., :300]
    found = file.model(input_ids=ids, attention_mask=there).logits
    torch.testing.assert_close(found[there], own[there], atol=1e-3, rtol=0)


def test_a_row_that_does_not_begin_at_0_is_read_from_its_beginning(file):
    ids = torch.tensor([[5, 6, 7, 8]])
    found = file.model(input_ids=ids, position_ids=torch.tensor([[2, 3, 0, 1]])).logits
    whole = torch.cat([file.model(input_ids=ids[:, :2]).logits, file.model(input_ids=ids[:, 2:]).logits], 1)
    assert torch.equal(found, whole)


def test_it_writes_what_the_student_writes(file, student):
    """One prompt, several of one length, and fewer when some have ended."""
    ids = torch.tensor([[7, 80, 3, 250]])
    assert written(file, ids, 16) == written(student, ids, 16)
    prompts = ["A", "B", "C", "D"]  # one token each
    assert continued(file, prompts, 12) == continued(student, prompts, 12)


def test_rows_that_ended_are_laid_down(file):
    ids = torch.tensor([[5, 6, 7], [8, 9, 10], [11, 12, 13]])
    state = kept(file.model(input_ids=ids, use_cache=True))
    state.batch_select_indices(torch.tensor([2, 0]))
    found = file.model(input_ids=torch.tensor([[20], [21]]), past_key_values=state).logits
    for row, text in enumerate(([11, 12, 13, 20], [5, 6, 7, 21])):
        whole = file.model(input_ids=torch.tensor([text])).logits[0, -1]
        torch.testing.assert_close(found[row, 0], whole, atol=1e-4, rtol=0)


def test_prompts_of_several_lengths_are_refused_and_not_misread(file):
    with pytest.raises(BadInput, match="batch_size=1"):
        continued(file, ["A", "A student learns"], 4)


def test_its_head_has_nothing_to_multiply_and_draws_nothing(folder):
    before = torch.random.get_rng_state()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = FileModel(OnnxRunner(folder))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert head(model).weight.shape == (300, 0)
    assert head(model).cut(200).logits(torch.ones(2, 300)).shape == (2, 200)


def test_a_pair_of_encoder_and_decoder_is_refused(folder):
    runner = OnnxRunner(folder)
    runner.encoder = runner.session
    with pytest.raises(BadInput, match="encoder"):
        FileModel(runner)


def metrics(measure, *subjects):
    return {name: {row.metric for row in rows} for name, rows in measure.measure(subjects).items()}


def test_a_files_size_is_its_own_and_its_operations_are_nobodys(file, student, folder):
    facts = {"format": "onnx", "file": "model.onnx", "vocabulary": 300}
    of = file_of(folder, facts, 1)
    assert of.answers
    assert of.clock is None
    assert of.bytes == sum(one.stat().st_size for one in weights_in(folder))
    asked = []
    apart = Subject(
        "file", file.model, file.tokenizer, 300, folder, file=File(of.bytes, lambda n: asked.append(n) or 2**21)
    )
    sizes = {row.metric: row.value for row in Footprint(tokens=500).measure([apart])["file"]}
    assert sizes == {"disk_bytes": of.bytes, "resident_memory": 2.0}
    assert asked == [128]  # no more than it has positions
    found = metrics(Flops(8), apart, student)
    assert not found["file"]
    assert found["student"]


def test_a_widened_file_is_timed_by_its_own_runtime_or_not_at_all(student):
    asked = []

    def clock(ids, new):
        asked.append((len(ids), new))
        return Timed(0.5, [0.25] * new)

    def widened(name, clock):
        of = File(1, lambda _: None, answers=False, clock=clock)
        return Subject(name, student.model, student.tokenizer, 300, file=of)

    speed = Speed(prompt_tokens=8, new_tokens=2, rounds=2, seconds=0.0, batch=3)
    found = {
        name: {row.metric: row.value for row in rows}
        for name, rows in speed.measure([student, widened("timed", clock), widened("silent", None)]).items()
    }
    assert set(asked) == {(8, 2)}
    assert found["timed"]["prefill_tokens_per_second"] == 16.0
    assert found["timed"]["decode_token_ms"] == 250.0
    assert not any("batch" in metric for metric in found["timed"])
    assert any("batch" in metric for metric in found["student"])
    assert found["silent"] == {}
    assert metrics(Energy(), widened("silent", None)) == {"silent": set()}


def test_a_file_is_timed_with_the_same_prompt_as_a_model(file, student):
    of = Subject("file", file.model, file.tokenizer, 300, file=File(1, lambda _: None))
    found = metrics(Speed(prompt_tokens=8, new_tokens=2, rounds=1, seconds=0.0, batch=2), student, of)
    assert found["file"] == found["student"]


def test_a_model_of_few_positions_is_not_written_beyond_them(student):
    asked = []
    of = File(
        1, lambda _: None, answers=False, clock=lambda ids, new: asked.append(len(ids) + new) or Timed(1.0, [1.0] * new)
    )
    subject = Subject("file", student.model, student.tokenizer, 300, file=of)
    Speed(prompt_tokens=120, new_tokens=32, rounds=1, seconds=0.0).measure([subject])
    assert set(asked) == {127}  # and the first token written


def test_one_step_of_several_rows_is_each_row_alone(folder):
    runner, ids = OnnxRunner(folder), np.array([[5, 6, 7], [8, 9, 10]])
    together, _ = runner.step(ids)
    for row in range(2):
        runner.restart()
        assert np.allclose(together[row], runner.read(ids[row].tolist()), atol=1e-4)

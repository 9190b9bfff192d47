"""A student of frames under a teacher that hears: states stand beside the frames, transcripts are the teacher's."""

import numpy as np
import pytest
import torch
from transformers import WhisperForConditionalGeneration

from distill.cli.tokenizers import shared, wordless
from distill.data.characters import Characters
from distill.data.utterances import STATES
from distill.errors import BadInput
from distill.evaluation.subject import Subject
from distill.evaluation.transcripts import Transcripts
from distill.losses.states.hidden import Cosine
from distill.models import answer
from distill.models import shape as sizes
from distill.students.ctc_encoder import CTCEncoder
from distill.teachers.frames import Frames
from distill.types import Request
from tests.data.test_speech import made, recordings, whisper  # noqa: F401  (fixtures)

pytest.importorskip("soundfile", reason="sounds are read by soundfile (extra speech)")
pytest.importorskip("jiwer", reason="word errors are counted by jiwer (extra speech)")


@pytest.fixture
def data(recordings, whisper, tmp_path):  # noqa: F811
    found = made(recordings, family="ctc", tokenizer=Characters(), pseudo_labels=True, cache=str(tmp_path / "cache"))
    found.meet(str(whisper), "teacher.path")
    return found


def test_each_frame_has_the_encoder_s_state_of_its_20_ms(data, whisper):  # noqa: F811
    batch = data.batch(0)
    states = Frames(str(whisper)).teach(batch, Request()).hidden  # (N, D)
    model = WhisperForConditionalGeneration.from_pretrained(whisper).eval()
    rows = {one.hash: one for one in data.rows["train"]}
    for i, sample in enumerate(batch.samples):
        sound = data.decode.of(rows[sample].content)
        with torch.no_grad():
            heard = model.get_encoder()(data.ear.spectrograms([sound])).last_hidden_state[0]
        own = states[batch.owners == i]
        assert len(own) == len(sound) // 320
        torch.testing.assert_close(own, heard[: len(own)], atol=1e-5, rtol=1e-4)


def test_the_student_s_own_inputs_are_as_without_a_teacher(data, recordings):  # noqa: F811
    alone = made(recordings, family="ctc", tokenizer=Characters())
    with_states, without = data.test_batches()[0], alone.test_batches()[0]
    assert STATES not in with_states.teacher_inputs
    torch.testing.assert_close(with_states.inputs["input_features"], without.inputs["input_features"])


def test_training_is_on_what_the_teacher_writes_and_each_sound_is_heard_once(data, recordings, whisper, tmp_path):  # noqa: F811
    assert {one.text for one in data.rows["test"]} <= {"high tone", "low tone"}
    assert not {one.text for one in data.rows["train"]} & {"high tone", "low tone"}
    assert set(data.told) == {one.sound for one in data.rows["test"]}
    files = {file: file.stat().st_mtime_ns for file in (tmp_path / "cache").rglob("*.*") if file.is_file()}
    again = made(recordings, family="ctc", tokenizer=Characters(), pseudo_labels=True, cache=str(tmp_path / "cache"))
    again.meet(str(whisper), "teacher.path")
    assert [one.target for one in again.rows["train"]] == [one.target for one in data.rows["train"]]
    assert files == {file: file.stat().st_mtime_ns for file in files}


@pytest.mark.parametrize("positions", ["relative", "rotary"])
def test_a_student_that_copies_the_states_has_no_loss_left_and_one_that_does_not_has(data, whisper, positions):  # noqa: F811
    batch = data.batch(0)
    teacher = Frames(str(whisper))
    student = CTCEncoder(1, 16, 2, 8, positions).build(data.prepare()).eval()
    loss = Cosine()
    loss.prepare(sizes(student), teacher.shape)
    signal = teacher.teach(batch, Request())
    told = answer(student, batch.inputs, batch.positions)
    torch.testing.assert_close(loss(signal.outputs, signal, batch), torch.zeros(batch.tokens), atol=1e-6, rtol=0)
    assert (loss(told, signal, batch) > 0.01).all()


def test_its_words_are_measured_beside_the_student_s(data):
    student = CTCEncoder(1, 16, 2, 8).build(data.prepare()).eval()
    found = Transcripts(timed=1).measure([Subject("student", student, data.prepare(), 40)], data)
    told = {one.metric: one.value for one in found.absent["teacher"]}
    assert told["word_errors_to_teacher"] == 0
    assert np.isfinite(told["real_time_factor"])
    assert {"word_error_rate", "word_errors_to_teacher"} <= {one.metric for one in found.rows["student"]}


def test_it_speaks_of_no_tokens_and_data_without_states_is_refused(whisper, data, recordings, tokenizer):  # noqa: F811
    node = {"_target_": "distill.teachers.frames.Frames", "path": str(whisper)}
    assert wordless(node)
    assert not wordless({**node, "_target_": "distill.teachers.live.Live"})
    assert shared(node, data.prepare(), 128) == (None, ())
    with pytest.raises(BadInput, match="ctc"):
        Frames(str(whisper)).teach(made(recordings, tokenizer).batch(0), Request())

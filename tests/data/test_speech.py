"""Speech: what is read and dropped, positions, a shared encoder, pseudo-labels; all on a Whisper of two layers."""

import numpy as np
import pytest
import torch
from transformers import WhisperConfig, WhisperForConditionalGeneration

from distill.data.characters import Characters
from distill.data.sound import cuts, resampled
from distill.data.speech import SpeechData
from distill.data.words import normalised, word_errors
from distill.models import answer, check_head
from tests.data.media_samples import sounds

pytest.importorskip("soundfile", reason="sounds are read by soundfile (extra speech)")
pytest.importorskip("jiwer", reason="word errors are counted by jiwer (extra speech)")


@pytest.fixture
def whisper(tmp_path, tokenizer):
    """The folder of a random Whisper that hears one second."""
    torch.manual_seed(0)
    config = WhisperConfig(
        vocab_size=300,
        num_mel_bins=8,
        d_model=16,
        encoder_layers=1,
        decoder_layers=2,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=32,
        decoder_ffn_dim=32,
        max_source_positions=50,
        max_target_positions=64,
        pad_token_id=0,
        bos_token_id=0,
        eos_token_id=0,
        decoder_start_token_id=0,
        begin_suppress_tokens=None,
        suppress_tokens=None,
    )
    place = tmp_path / "whisper"
    WhisperForConditionalGeneration(config).save_pretrained(place)
    tokenizer.save_pretrained(place)
    return place


@pytest.fixture
def recordings(tmp_path):
    folder = tmp_path / "recordings"
    folder.mkdir()
    return sounds(folder)


def made(folder, given=None, **more) -> SpeechData:
    sizes = {"window": 1.0, "mels": 8, "batch_size": 4, "validation": 0.2, "test": 0.3}
    found = SpeechData(str(folder), **{**sizes, **more})
    found.prepare(given)
    return found


def test_what_cannot_be_read_or_is_too_long_is_counted_and_named(recordings, tokenizer):
    facts = made(recordings, tokenizer).facts
    assert facts.dropped == {"unreadable": 1, "longer_than_window": 1}
    assert facts.rows == 26 == sum(one.documents for one in facts.splits.values()) + 2
    assert "noise.wav" in facts.source


def test_the_positions_are_those_that_predict_the_targets(recordings, tokenizer, whisper):
    data = made(recordings, tokenizer)
    batch = data.batch(0)
    model = WhisperForConditionalGeneration.from_pretrained(whisper).eval()
    check_head(model)
    told = answer(model, batch.inputs, batch.positions)
    logits = model(**batch.inputs).logits.flatten(0, 1)[batch.positions]
    torch.testing.assert_close(told.head.logits(told.hidden), logits)


def test_a_shared_encoder_is_heard_once_and_says_the_same(recordings, tokenizer, whisper, tmp_path):
    data = made(recordings, tokenizer)
    shared = made(recordings, tokenizer, shared_encoder=True, cache=str(tmp_path / "cache"))
    shared.meet(str(whisper), "teacher.path")
    model = WhisperForConditionalGeneration.from_pretrained(whisper).eval()
    one, other = data.batch(0), shared.batch(0)
    assert "encoder_outputs" in other.inputs
    apart, together = (answer(model, batch.inputs, batch.positions).hidden for batch in (one, other))
    torch.testing.assert_close(apart, together)
    times = {file: file.stat().st_mtime_ns for file in (tmp_path / "cache").rglob("*.npy")}
    made(recordings, tokenizer, shared_encoder=True, cache=str(tmp_path / "cache")).meet(str(whisper), "teacher.path")
    assert times == {file: file.stat().st_mtime_ns for file in (tmp_path / "cache").rglob("*.npy")}


def test_pseudo_labels_are_what_the_teacher_writes_and_held_out_text_stays(recordings, tokenizer, whisper, tmp_path):
    data = made(recordings, tokenizer, pseudo_labels=True, cache=str(tmp_path / "cache"), sequence_length=8)
    before = {name: [one.text for one in rows] for name, rows in data.rows.items()}
    data.meet(str(whisper), "teacher.path")
    after = {name: [one.text for one in rows] for name, rows in data.rows.items()}
    assert after["test"] == before["test"]
    assert len(after["train"]) == len(before["train"])
    assert after["train"] != before["train"]


def test_what_strays_too_far_is_dropped_and_counted(recordings, tokenizer, whisper, tmp_path, monkeypatch):
    from distill.data.listening import Listener

    data = made(recordings, tokenizer, pseudo_labels=True, word_errors=0.1, cache=str(tmp_path / "cache"))
    train = data.rows["train"]
    said = {one.sound: one.text if i else "something else" for i, one in enumerate(train)}
    monkeypatch.setattr(Listener, "transcripts", lambda self, samples, states: said)
    data.meet(str(whisper), "teacher.path")
    assert data.facts.dropped["word_errors_of_the_teacher"] == 1
    assert len(data.rows["train"]) == len(train) - 1


def test_ctc_frames_spell_what_the_transcript_says(recordings):
    data = made(recordings, family="ctc", tokenizer=Characters())
    batch = data.batch(0)
    labels = batch.labels["sequences"]
    spelt = data.prepare().decode(labels[0][labels[0] >= 0].tolist())
    assert spelt in ("high tone", "low tone")
    assert batch.tokens == int(batch.inputs["attention_mask"].sum())


def test_a_tone_keeps_its_pitch_at_another_rate():
    tone = np.sin(2 * np.pi * 440 * np.arange(8000) / 8000)
    found = resampled(tone, 8000, 16_000)
    wanted = np.sin(2 * np.pi * 440 * np.arange(16_000) / 16_000)
    assert len(found) == 16_000
    assert np.abs(found - wanted)[500:-500].max() < 1e-2


def test_pieces_of_a_long_sound_are_the_sound_and_are_cut_where_it_is_quiet():
    sound = np.ones(1000, dtype=np.float32)
    sound[620:660] = 0
    found = cuts(sound, rate=100, longest=8.0, search=3.0)
    assert [part for piece in found for part in piece][1:-1:2] == [one[1] for one in found[:-1]]
    assert found[0][0] == 0
    assert found[-1][1] == 1000
    assert 620 <= found[0][1] <= 660
    assert all(stop - first <= 800 for first, stop in found)


def test_the_normaliser_knows_numbers_and_contractions():
    assert normalised("Please press TWENTY-one, don't wait!") == normalised("please press 21 do not wait")
    assert word_errors(["a b c"], ["a b d"]) == pytest.approx(1 / 3)
    assert word_errors(["anything"], ["..."]) == 0.0


def test_a_ctc_student_answers_at_every_frame_and_learns(recordings):
    from distill.losses.ctc import CTC
    from distill.students.ctc_encoder import CTCEncoder

    data = made(recordings, family="ctc", tokenizer=Characters())
    torch.manual_seed(0)
    model = CTCEncoder(1, 16, 2, mels=8).of(data.task).build(data.prepare())
    batch, optimizer, values = data.batch(0), torch.optim.Adam(model.parameters(), 1e-2), []
    for _ in range(8):
        told = answer(model, batch.inputs, batch.positions)
        assert told.hidden.shape == (batch.tokens, 16)
        loss = CTC()(told, None, batch).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        values.append(loss.item())
    assert values[-1] < 0.7 * values[0]

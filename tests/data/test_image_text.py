"""Pictures with text: what is read, what is dropped and named, and that a position predicts what it should."""

import pytest
import torch

from distill.data.image_text import ImageTextData
from distill.data.tokenizer import TrainedBPE
from distill.errors import BadInput
from distill.models import answer, check_head
from distill.students.from_scratch import FromScratch
from distill.students.llava import Llava
from tests.data.media_samples import pictures


def made(folder, **more) -> ImageTextData:
    given = {"question_field": "question", "kind_field": "kind", "description_field": "description"}
    sizes = {"image_size": 32, "patch_size": 16, "batch_size": 4, "validation": 0.2, "test": 0.3}
    return ImageTextData(str(folder), tokenizer=TrainedBPE(300), **{**given, **sizes, **more})


@pytest.fixture
def data(tmp_path) -> ImageTextData:
    found = made(pictures(tmp_path))
    found.prepare()
    return found


def test_every_row_is_used_or_dropped_for_a_reason_and_broken_files_are_named(data):
    facts = data.facts
    assert facts.dropped == {"unreadable": 1, "file_missing": 1}
    assert facts.rows == 42 == sum(one.documents for one in facts.splits.values()) + 2
    assert "broken.png" in facts.source
    assert "missing.png" in facts.source


def test_the_positions_are_those_that_predict_the_targets(data):
    batch = data.batch(0)
    model = Llava(None, None, 1, 16, 2, 1, 16, 2).of(data.task).build(data.prepare()).eval()
    check_head(model)
    told = answer(model, batch.inputs, batch.positions)
    logits = model(**batch.inputs).logits.flatten(0, 1)[batch.positions]
    torch.testing.assert_close(told.head.logits(told.hidden), logits)
    flat = batch.inputs["input_ids"].flatten()
    inner = batch.owners[1:] == batch.owners[:-1]
    assert torch.equal(flat[batch.positions[1:]][inner], batch.targets[:-1][inner])


def test_a_batch_depends_on_seed_and_step_alone(data):
    assert torch.equal(data.batch(3).inputs["input_ids"], next(iter(data.stream(3))).inputs["input_ids"])
    assert data.batch(3).samples == data.batch(3).samples != data.batch(4).samples


def test_a_picture_stands_in_one_split_with_all_its_questions(tmp_path):
    folder = pictures(tmp_path)
    lines = (folder / "metadata.jsonl").read_text().splitlines()
    more = [line.replace("what colour?", "which colour is it?") for line in lines]
    (folder / "metadata.jsonl").write_text("\n".join(lines + more) + "\n")
    data = made(folder)
    data.prepare()
    seen = [{str(one.content) for one in rows} for rows in data.rows.values()]
    assert not seen[0] & seen[1]
    assert not seen[0] & seen[2]
    assert all(len(rows) == 2 * len(files) for rows, files in zip(data.rows.values(), seen, strict=True))


def test_a_teacher_that_reads_is_shown_the_description_and_answers_the_same_tokens(data, tmp_path):
    tokenizer = data.prepare()
    place = tmp_path / "reader"
    FromScratch(1, 16, 2).build(tokenizer).save_pretrained(place)
    tokenizer.save_pretrained(place)
    data.meet(str(place), "teacher.path")
    batch = data.batch(0)
    assert "pixel_values" in batch.inputs
    assert "pixel_values" not in batch.teacher_inputs
    flat = batch.teacher_inputs["input_ids"].flatten()
    inner = batch.owners[1:] == batch.owners[:-1]
    assert torch.equal(flat[batch.teacher_positions[1:]][inner], batch.targets[:-1][inner])
    assert data.teacher_differs
    assert batch.taught.inputs is batch.teacher_inputs


def test_a_teacher_with_finer_patches_is_shown_them(data, tmp_path):
    place = tmp_path / "finer"
    Llava(32, 8, 1, 16, 2, 1, 16, 2).build(data.prepare()).save_pretrained(place)
    data.processor.save_pretrained(place)
    data.meet(str(place), "teacher.path")
    batch = data.batch(0)
    longer = batch.teacher_inputs["input_ids"].shape[1] - batch.inputs["input_ids"].shape[1]
    assert longer == 16 - 4


def test_a_teacher_that_only_reads_is_refused_without_descriptions(tmp_path):
    data = made(pictures(tmp_path), description_field=None)
    tokenizer = data.prepare()
    place = tmp_path / "reader"
    FromScratch(1, 16, 2).build(tokenizer).save_pretrained(place)
    tokenizer.save_pretrained(place)
    with pytest.raises(BadInput, match="no description"):
        data.meet(str(place), "teacher.path")


def test_pixels_are_those_of_the_picture_and_white_where_it_is_transparent(tmp_path):
    from PIL import Image

    from distill.data.views import View

    Image.new("RGBA", (8, 8), (0, 0, 0, 0)).save(tmp_path / "clear.png")
    assert torch.equal(View("inline", 4).pixels(tmp_path / "clear.png"), torch.ones(3, 4, 4))

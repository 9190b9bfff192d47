"""The sizes told without a weight are those of the model that is built."""

from collections.abc import Callable
from pathlib import Path

import pytest
from transformers import PreTrainedTokenizerBase

from distill.models import shape
from distill.students.from_scratch import FromScratch
from distill.students.layer_drop import LayerDrop
from distill.students.pretrained import Pretrained
from distill.students.student import Student


@pytest.fixture(scope="module")
def folder(tiny_llama: Callable, tokenizer: PreTrainedTokenizerBase, tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("model")
    tiny_llama(layers=4, vocabulary=len(tokenizer)).save_pretrained(made)
    tokenizer.save_pretrained(made)
    return made


@pytest.mark.parametrize(
    "make",
    [
        lambda folder: FromScratch(layers=3, width=16, heads=2),
        lambda folder: FromScratch(layers=1, width=16, heads=2, tied=False, kv_heads=1, architecture="qwen3"),
        lambda folder: Pretrained(str(folder)),
        lambda folder: LayerDrop(str(folder), every=2),
        lambda folder: LayerDrop(str(folder), layers=[0, 1, 3]),
    ],
)
def test_shape_is_that_of_the_built_student(
    make: Callable[[Path], Student], folder: Path, tokenizer: PreTrainedTokenizerBase
) -> None:
    student = make(folder)
    assert student.shape(len(tokenizer)) == shape(student.build(tokenizer))

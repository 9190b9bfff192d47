"""A run is found again by what it computes: edits that matter change its identity, others do not."""

from pathlib import Path

import pytest

from distill.cli.arguments import Arguments, parse
from distill.cli.compose import compose
from distill.cli.identity import identity

MATTERS = [
    "seed=1",
    "control=none",
    "objective=reverse_kl",
    "objective.temperature=2",
    "objective.losses.kd.weight=0.5",
    "objective.losses.ce.weight=0.1",
    "objective.losses.kd.temperature=2",
    "objective.losses.kd.temperature_squared=false",
    "~objective.losses.ce",
    "+loss@objective.losses.more=reverse_kl",
    "student.layers=3",
    "student.tied=false",
    "student.dropout=0.1",
    "teacher=nursery_small",
    "teacher.dtype=bfloat16",
    "teacher.recipe.steps=801",
    "data.share=0.07",
    "data.sequence_length=32",
    "data.path=mine.txt",
    "data.tokenizer.size=512",
    "optim.learning_rate=0.003",
    "optim.schedule=linear",
    "trainer.max_steps=301",
    "trainer.precision=bf16-mixed",
    "trainer.gradient_clip_val=null",
]
SHOWS_ONLY = [
    "name=other",
    "paths.root=elsewhere",
    "paths.cache=elsewhere",
    "paths.run=elsewhere",
    "logger=none",
    "wandb.mode=disabled",
    "data.workers=2",
    "trainer.log_every_n_steps=1",
    "trainer.enable_progress_bar=true",
    "launcher.jobs=1",
    "objective.temperature=1",
    "objective.temperature=1.0",
    "objective.temperature=1e0",
    "objective.temperature=10e-1",
    "optim.learning_rate=4e-3",
    "optim.learning_rate=0.00400",
    "data.share=6e-2",
    "seed=0",
    "seed=+0",
]


def of(*overrides: str, config_dir: Path | None = None) -> str:
    return identity(compose(Arguments("train", overrides=overrides, config_dir=config_dir and str(config_dir))))


@pytest.fixture(scope="module")
def plain() -> str:
    return of()


def test_edits_that_matter_have_identities_of_their_own(plain: str) -> None:
    found = [of(override) for override in MATTERS]
    assert len({plain, *found}) == 1 + len(MATTERS)


@pytest.mark.parametrize("override", SHOWS_ONLY)
def test_an_edit_that_computes_the_same_does_not_matter(override: str, plain: str) -> None:
    assert of(override) == plain


@pytest.mark.parametrize(
    "text",
    [
        "_target_: distill.students.from_scratch.FromScratch\nlayers: 2\nwidth: 64\nheads: 4\n",
        "# another\nheads: 4\nwidth: 64 # here\n\nlayers: 2\n_target_: distill.students.from_scratch.FromScratch\n",
        "{_target_: distill.students.from_scratch.FromScratch, layers: 2, width: 64, heads: 4}\n",
    ],
    ids=["as it is", "comments and order", "flow style"],
)
def test_how_a_file_is_written_does_not_matter(text: str, tmp_path: Path, plain: str) -> None:
    (tmp_path / "student").mkdir()
    (tmp_path / "student" / "mine.yaml").write_text(text)
    assert of("student=mine", config_dir=tmp_path) == plain


def test_the_order_of_overrides_does_not_matter() -> None:
    assert of("seed=3", "objective=hinton", "data.share=0.5") == of("data.share=0.5", "seed=3", "objective=hinton")


def test_a_choice_and_its_keys_written_out_are_one_run() -> None:
    assert of("objective=forward_kl", "objective.temperature=2.0") == of("objective.temperature=2")


def test_how_a_step_is_cut_into_micro_batches_is_no_other_run() -> None:
    whole, halves, twice = (
        identity(compose(parse(["train", *words])))
        for words in (
            ["data.batch_size=32"],
            ["data.batch_size=16", "trainer.accumulate_grad_batches=2"],
            ["data.batch_size=32", "trainer.accumulate_grad_batches=2"],
        )
    )
    assert whole == halves != twice

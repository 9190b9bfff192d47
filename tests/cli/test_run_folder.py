"""Whose a run folder is."""

import pytest

from distill.cli.arguments import parse
from distill.cli.compose import compose
from distill.cli.run_folder import CONFIG, PROVENANCE, STATUS, RunFolder
from distill.errors import BadInput
from distill.storage import DRAFT


def folder(path, *words: str) -> RunFolder:
    arguments = parse(["train", f"paths.run={path}", *words])
    return RunFolder(compose(arguments), arguments.command)


def test_the_keeper_of_a_sweep_may_be_writing_its_status_meanwhile(tmp_path) -> None:
    (tmp_path / STATUS).write_text("{}")
    (tmp_path / f".{STATUS}{DRAFT}0a1b2c3d").write_text('{"sta')
    assert not folder(tmp_path).done


@pytest.mark.parametrize("name", ["novel.txt", ".hidden", CONFIG])
def test_what_is_no_run_is_left_alone(tmp_path, name) -> None:
    (tmp_path / name).write_text("mine")
    with pytest.raises(BadInput, match="no run"):
        folder(tmp_path)


def test_a_kill_between_its_first_two_files_leaves_a_folder_that_goes_on(tmp_path, monkeypatch) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("distill.cli.run_folder.write_text", killed)
    with pytest.raises(KeyboardInterrupt), folder(tmp_path).running():
        pass
    assert (tmp_path / PROVENANCE).exists()
    assert not (tmp_path / CONFIG).exists()
    monkeypatch.undo()
    with folder(tmp_path).running():
        pass
    assert (tmp_path / CONFIG).exists()


def test_another_run_s_folder_is_refused_with_the_keys_that_differ(tmp_path) -> None:
    with folder(tmp_path).running():
        pass
    with pytest.raises(BadInput, match=r"it differs in data.seed, seed"):
        folder(tmp_path, "seed=7")

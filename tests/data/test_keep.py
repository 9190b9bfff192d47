import multiprocessing
import os

import pytest

from distill.data.keep import kept
from distill.errors import ResourceStop


def test_made_once_then_read(tmp_path):
    assert kept(tmp_path, "a", lambda: "naïve\n日本語") == "naïve\n日本語"
    assert kept(tmp_path, "a", lambda: pytest.fail("made twice")) == "naïve\n日本語"
    assert [file.name for file in tmp_path.iterdir()] == ["a"]


def test_without_a_folder_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert kept(None, "a", lambda: "text") == "text"
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("damage", ["flip", "cut", "zero", "empty"])
def test_damage_is_found_and_mended(tmp_path, damage, caplog):
    kept(tmp_path, "a", lambda: "some text that is long enough to be damaged in the middle")
    body = bytearray((tmp_path / "a").read_bytes())
    if damage == "flip":
        body[-5] ^= 1
    elif damage == "cut":
        body = body[:-3]
    elif damage == "zero":
        body[80:90] = bytes(10)
    else:
        body = bytearray()
    (tmp_path / "a").write_bytes(body)
    assert kept(tmp_path, "a", lambda: "made again") == "made again"
    assert "damaged" in caplog.text
    assert kept(tmp_path, "a", lambda: pytest.fail("not mended")) == "made again"


def test_a_folder_that_cannot_be_written_is_a_resource_stop(tmp_path):
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(ResourceStop, match="cannot be written"):
        kept(tmp_path / "file", "a", lambda: "text")


def test_an_interrupted_maker_leaves_nothing(tmp_path):
    def broken() -> str:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        kept(tmp_path, "a", broken)
    assert not list(tmp_path.iterdir())


def _keep(folder) -> None:
    os._exit(0 if kept(folder, "a", lambda: "x" * 100_000) == "x" * 100_000 else 1)


def test_two_processes_at_once_see_whole_texts(tmp_path):
    context = multiprocessing.get_context("fork")
    makers = [context.Process(target=_keep, args=(tmp_path,)) for _ in range(6)]
    for maker in makers:
        maker.start()
    for maker in makers:
        maker.join()
    assert [maker.exitcode for maker in makers] == [0] * 6
    assert [file.name for file in tmp_path.iterdir()] == ["a"]

"""A claim is taken by exactly one, from a dead owner too, and believed from afar only while its heart beats."""

import os
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from distill.errors import ResourceStop
from distill.storage import write_json
from distill.sweeps import status
from distill.sweeps.claims import OWNER, latest, silence, take
from distill.sweeps.owner import STALE_AFTER, Owner


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "claims" / "run"


def test_of_many_at_once_one_takes_it(folder):
    found: list = []
    start = threading.Barrier(16)

    def contend():
        start.wait()
        found.append(take(folder, after=0))

    threads = [threading.Thread(target=contend) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(claim is not None for claim in found) == 1
    assert [path.name for path in folder.iterdir()] == ["0001"]


def test_a_held_claim_is_not_taken_and_a_released_one_is(folder):
    first = take(folder, after=0)
    assert first is not None
    assert first.held()
    assert take(folder, after=1) is None
    first.release()
    assert not first.held()
    assert take(folder, after=0) is None
    second = take(folder, after=1)
    assert second == latest(folder)


def test_a_dead_owner_is_followed(folder):
    first = take(folder, after=0)
    assert first is not None
    dead = subprocess.Popen([sys.executable, "-c", "pass"])
    owner = Owner.of(os.getpid())
    dead.wait()
    write_json(first.folder / OWNER, replace(owner, pid=dead.pid).tell())
    assert take(folder, after=1) is not None


def test_a_number_that_was_given_again_is_another_process(folder):
    first = take(folder, after=0)
    assert first is not None
    me = Owner.of(os.getpid())
    write_json(first.folder / OWNER, replace(me, started=me.started - 1000.0).tell())
    old = time.time() - 30.0
    os.utime(first.folder / OWNER, (old, old))
    assert not first.held()


@pytest.mark.parametrize(("ago", "held"), [(STALE_AFTER / 2, True), (STALE_AFTER * 2, False)])
@pytest.mark.parametrize("elsewhere", [{"host": "another"}, {"namespace": "pid:[1]"}])
def test_from_afar_the_heartbeat_counts(folder, ago, held, elsewhere):
    first = take(folder, after=0)
    assert first is not None
    write_json(first.folder / OWNER, replace(Owner.of(os.getpid()), **elsewhere).tell())
    then = time.time() - ago
    os.utime(first.folder / OWNER, (then, then))
    assert first.held() is held
    first.beat()
    assert first.held()
    assert silence(first.folder / OWNER) < 2.0


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may write everywhere")
def test_a_folder_that_cannot_be_written_is_told(folder):
    folder.mkdir(parents=True)
    folder.chmod(0o500)
    with pytest.raises((ResourceStop, OSError)):
        take(folder, after=0)


@pytest.mark.parametrize("text", ["nonsense", "[]", '{"state": "asleep"}', "{}"])
def test_a_damaged_status_is_a_failed_run(tmp_path, text):
    (tmp_path / "status.json").write_text(text)
    told = status.read(tmp_path)
    assert told.state == "failed"
    assert "status.json" in (told.cause or "")


def test_a_missing_status_is_queued_and_unknown_keys_are_left_out(tmp_path):
    assert status.read(tmp_path).state == "queued"
    write_json(tmp_path / "status.json", {"state": "done", "something": "else"})
    assert status.read(tmp_path) == status.Status("done")

"""A checkpoint is whole or not there, and what was damaged is never read."""

import random
import shutil

import pytest
import torch

from distill.errors import BadInput, ResourceStop
from distill.storage import MANIFEST, find_fault
from distill.training.checkpoint import FolderCheckpoint, newest, retire, step_folder


def state(value=1.0):
    shared = torch.full((3, 2), value)
    return {
        "state_dict": {
            "a": shared,
            "tied": shared,
            "empty": torch.empty(0),
            "half": torch.ones(2, dtype=torch.bfloat16),
        },
        "optimizer_states": [{"state": {0: {"step": torch.tensor(3.0)}}, "param_groups": [{"betas": (0.9, 0.95)}]}],
        "loops": {"epoch": None, "done": True, "best": float("inf")},
    }


def saved(folder, step=1, value=1.0):
    FolderCheckpoint().save_checkpoint(state(value), step_folder(folder, step))
    return step_folder(folder, step)


def test_comes_back_as_it_was_types_and_all(tmp_path):
    back = FolderCheckpoint().load_checkpoint(saved(tmp_path))
    assert back["optimizer_states"][0]["state"][0]["step"] == 3.0
    assert back["optimizer_states"][0]["param_groups"][0]["betas"] == (0.9, 0.95)
    assert back["loops"] == {"epoch": None, "done": True, "best": float("inf")}
    assert back["state_dict"]["half"].dtype == torch.bfloat16
    assert back["state_dict"]["empty"].shape == (0,)
    assert torch.equal(back["state_dict"]["a"], back["state_dict"]["tied"])


def test_tied_weights_are_stored_once(tmp_path):
    from safetensors import safe_open

    with safe_open(saved(tmp_path) / "state.safetensors", framework="pt") as opened:
        assert sum(opened.get_slice(key).get_shape() == [3, 2] for key in opened.keys()) == 1  # noqa: SIM118


@pytest.mark.parametrize("damage", ["flip", "cut", "zero"])
def test_every_damage_is_found(tmp_path, damage):
    chance = random.Random(7)
    good = saved(tmp_path / "good")
    files = [file for file in sorted(good.iterdir()) if file.name != MANIFEST]
    for trial in range(20):
        bad = tmp_path / f"bad-{trial}"
        shutil.copytree(good, bad)
        file = bad / chance.choice(files).name
        data = bytearray(file.read_bytes())
        place = chance.randrange(len(data))
        if damage == "flip":
            data[place] ^= 1 << chance.randrange(8)
        elif damage == "cut":
            del data[place:]
        else:
            data[place : place + 64] = b"\0" * len(data[place : place + 64])
        changed = bytes(data) != file.read_bytes()
        file.write_bytes(data)
        assert (find_fault(bad) is not None) == changed


@pytest.mark.parametrize("name", ["state.safetensors", "state.json", MANIFEST])
def test_a_missing_file_is_refused(tmp_path, name):
    place = saved(tmp_path)
    (place / name).unlink()
    with pytest.raises(BadInput, match=name):
        FolderCheckpoint().load_checkpoint(place)


def test_the_newest_is_the_latest_that_verifies_and_says_what_it_passed_over(tmp_path):
    first, second = saved(tmp_path, 10), saved(tmp_path, 200)
    assert newest(tmp_path) == second
    (second / "state.safetensors").write_bytes(b"")
    with pytest.warns(UserWarning, match=r"step-00000200 is damaged.*falling back to .*step-00000010"):
        assert newest(tmp_path) == first
    (first / MANIFEST).unlink()
    with pytest.warns(UserWarning, match="starting anew"):
        assert newest(tmp_path) is None


def test_nothing_half_written_is_left_or_chosen(tmp_path, monkeypatch):
    saved(tmp_path, 1)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("distill.storage.os.rename", full)
    with pytest.raises(ResourceStop, match=r"No space left on device.*bytes are free"):
        saved(tmp_path, 2)
    assert sorted(place.name for place in tmp_path.iterdir()) == ["step-00000001"]
    assert newest(tmp_path) == step_folder(tmp_path, 1)


def test_an_unwritable_place_is_loud(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ResourceStop) as caught:
        saved(tmp_path / "file")
    assert caught.value.code == 4


def test_replacing_a_folder_leaves_the_new_one_whole(tmp_path):
    saved(tmp_path, 1, value=1.0)
    again = saved(tmp_path, 1, value=2.0)
    assert FolderCheckpoint().load_checkpoint(again)["state_dict"]["a"][0, 0] == 2.0
    assert len(list(tmp_path.iterdir())) == 1


def test_retiring_keeps_a_fallback_and_clears_drafts(tmp_path):
    for step in range(1, 5):
        saved(tmp_path, step)
    (tmp_path / ".step-00000009.draft-dead").mkdir()
    retire(tmp_path)
    assert sorted(place.name for place in tmp_path.iterdir()) == ["step-00000003", "step-00000004"]


def test_what_is_no_plain_value_is_refused(tmp_path):
    with pytest.raises(TypeError, match=r"state\.odd"):
        FolderCheckpoint().save_checkpoint({"odd": object()}, tmp_path / "x")
    assert list(tmp_path.iterdir()) == []

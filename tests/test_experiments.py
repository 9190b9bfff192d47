"""Every experiment that is there: its claim reads, its arms compose, its tables say what its results say.

Found by looking: a new folder is tried without a line here.
"""

import json
from pathlib import Path

import pytest

from distill.__main__ import main
from distill.cli import experiments
from distill.cli.arguments import parse
from distill.cli.compose import compose
from distill.cli.sources import ROOT
from distill.evidence import claim as claims

FOLDERS = sorted(path.parent for path in (ROOT / "experiments").glob("*/claim.toml"))
FULL = sorted((ROOT / "experiments").glob("*/full_scale.yaml"))


SIZES = {"hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32, "max_position_embeddings": 8192}
HEADS = {"num_attention_heads": 32, "num_key_value_heads": 8}


@pytest.fixture
def stand_in(tmp_path: Path, tokenizer, tiny_llama) -> str:
    """The config of a model of 8B and a file of weights that nobody opens, in place of one that is downloaded."""
    folder = tmp_path / "model"
    tokenizer.save_pretrained(folder)
    tiny_llama(layers=1).save_pretrained(folder)
    told = json.loads((folder / "config.json").read_text())
    told.pop("head_dim", None)
    (folder / "config.json").write_text(json.dumps({**told, **SIZES, **HEADS}))
    return str(folder)


def hub_names(config: dict, key: str = "") -> list[str]:
    """Keys that name a model on the hub."""
    found = []
    for name, value in config.items():
        inner = f"{key}.{name}" if key else name
        if isinstance(value, dict):
            found += hub_names(value, inner)
        elif name == "path" and isinstance(value, str) and key.split(".")[0] in ("teacher", "student"):
            found.append(inner)
    return found


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_every_arm_of_a_claim_composes(folder):
    claim = claims.read(folder)
    assert claim is not None
    for arm in claim.arms:
        compose(parse(["train", f"experiment={folder.name}", f"arm={arm}"]))
    compose(parse(["train", f"experiment={folder.name}"]))


@pytest.mark.parametrize("path", FULL, ids=lambda path: path.parent.name)
def test_the_scale_of_the_paper_composes_and_says_what_it_would_cost(path, stand_in, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    words = ["train", f"experiment={path.parent.name}/full_scale"]
    models = [f"{key}={stand_in}" for key in hub_names(compose(parse(words)).config)]
    assert main([*words, "--dry-run", *models]) in (0, 4), capsys.readouterr().err  # 4: this machine is too small
    assert "parameters" in capsys.readouterr().out


def test_the_tables_say_what_the_results_say():
    """Renewed by ``distill report experiments``."""
    assert experiments.stale() == []

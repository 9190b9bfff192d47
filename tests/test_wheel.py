"""The wheel carries conf and experiments and works from an empty folder."""

import json
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh environment with the wheel in it, and this environment's libraries within reach."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder / "dist"), str(ROOT)],
        check=True,
        capture_output=True,
    )
    (wheel,) = (folder / "dist").glob("*.whl")
    venv.create(folder / "env", with_pip=False)
    python = folder / "env" / "bin" / "python"
    asked = "import sysconfig; print(sysconfig.get_path('purelib'))"
    packages = Path(subprocess.run([python, "-c", asked], check=True, capture_output=True, text=True).stdout.strip())
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", str(packages), str(wheel)], check=True
    )
    libraries = Path(sysconfig.get_path("purelib"))
    # the .pth files of those libraries, the checkout's among them, are not read
    (packages / "libraries.pth").write_text(f"{libraries}\n")
    return python


def distill(python: Path, folder: Path, *words: str) -> str:
    done = subprocess.run([python, "-m", "distill", *words], cwd=folder, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_it_is_the_wheel_that_runs(python: Path, tmp_path: Path) -> None:
    asked = "import distill, experiments, json; print(json.dumps([distill.__file__, experiments.__file__]))"
    done = subprocess.run([python, "-c", asked], cwd=tmp_path, check=True, capture_output=True, text=True)
    assert all(str(python.parent.parent) in place for place in json.loads(done.stdout))


def test_it_lists_losses(python: Path, tmp_path: Path) -> None:
    assert "forward_kl" in distill(python, tmp_path, "list", "losses")
    assert "none" in distill(python, tmp_path, "list", "experiments")


def test_it_composes_and_creates_nothing(python: Path, tmp_path: Path) -> None:
    said = distill(python, tmp_path, "train", "--dry-run", "seed=1", "data.cache=null", "paths.cache=cache")
    assert "command line" in said
    assert "parameters" in said
    assert list(tmp_path.iterdir()) == []


def test_it_refuses_with_the_line(python: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [python, "-m", "distill", "train", "student=layer_drop"], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 2
    assert "layer_drop.yaml:" in done.stderr
    assert "student.path" in done.stderr

"""An import only goes down: the floors of ``pyproject.toml``, checked by import-linter."""

from pathlib import Path

import pytest
from importlinter.cli import lint_imports

PYPROJECT = Path(__file__).parent.parent / "pyproject.toml"


def test_imports_only_go_down(capsys: pytest.CaptureFixture[str]) -> None:
    assert lint_imports(config_filename=str(PYPROJECT), no_cache=True) == 0, capsys.readouterr().out

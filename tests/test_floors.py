"""An import only goes down: the floors of ``pyproject.toml``, checked by import-linter, in a process of its own: called
inside this one it has closed the streams that pytest captures with."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
CHECK = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(sys.argv[1], no_cache=True))"


def test_imports_only_go_down() -> None:
    command = [sys.executable, "-c", CHECK, str(ROOT / "pyproject.toml")]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr

"""The command line answers in words and exit codes, never with a traceback, and without a heavy import."""

import random
import subprocess
import sys
from pathlib import Path

import pytest

import distill.__main__ as program
from distill.__main__ import main, verbs
from distill.cli.arguments import Arguments, experiment, parse
from distill.errors import BadInput

HEAVY = ("torch", "pytorch_lightning", "transformers", "datasets", "wandb", "pandas", "pyarrow")
LIGHT = [
    (["--help"], 0),
    (["--version"], 0),
    (["train", "--help"], 0),
    (["list"], 0),
    (["list", "losses", "teachers"], 0),
    (["train", "objective.temprature=3", "seed=hot"], 2),
    (["train", "teacher=none", "control=none"], 2),
    (["train", "student._target_=os.system"], 2),
    (["trian"], 2),
]


@pytest.mark.parametrize(("argv", "code"), LIGHT, ids=lambda value: " ".join(value) if isinstance(value, list) else "")
def test_no_heavy_import(argv: list[str], code: int) -> None:
    asked = f"import sys; from distill.__main__ import main; code = main({argv!r}); "
    asked += f"print(code, [name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == f"{code} []"
    assert "Traceback" not in done.stderr


def lines(capsys: pytest.CaptureFixture[str], argv: list[str]) -> tuple[int, str, str]:
    code = main(argv)
    out, err = capsys.readouterr()
    return code, out, err


def test_help_names_every_verb(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = lines(capsys, [])
    assert (code, err) == (0, "")
    assert all(f"  {verb} " in out and line in out for verb, line in verbs().items())
    assert {"train", "list"} <= set(verbs())


@pytest.mark.parametrize("verb", sorted(verbs()))
def test_a_verb_explains_itself(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = lines(capsys, [verb, "--help"])
    assert code == 0
    assert verbs()[verb] in out


def test_an_unknown_verb_is_told_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = lines(capsys, ["trian", "seed=1"])
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert "did you mean train?" in err


def test_control_characters_are_shown_not_sent(capsys: pytest.CaptureFixture[str]) -> None:
    _, _, err = lines(capsys, ["train", "name=\x1b[31mred\x07", "\u202etrain"])
    assert "\x1b" not in err
    assert "\x07" not in err
    assert "\u202e" not in err


def test_a_bug_is_an_apology(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    def broken(arguments: Arguments) -> int:
        raise ZeroDivisionError("a bug\nof two lines, token=verysecretvalue")

    monkeypatch.setattr("distill.cli.list.run", broken)
    code, _, err = lines(capsys, ["list"])
    assert code == 1
    assert "ZeroDivisionError: a bug" in err
    assert "Traceback" not in err
    (log,) = tmp_path.glob("distill-*.log")
    assert str(log) in err
    assert "Traceback" in log.read_text()
    assert "verysecretvalue" not in log.read_text()
    code, _, err = lines(capsys, ["list", "--debug"])
    assert code == 1
    assert "Traceback" in err


@pytest.mark.parametrize(("problem", "code"), [(KeyboardInterrupt(), 130), (BadInput("x", "y"), 2)])
def test_exit_codes(problem: BaseException, code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(arguments: Arguments) -> int:
        raise problem

    monkeypatch.setattr("distill.cli.list.run", stopped)
    assert main(["list"]) == code


def words(draw: random.Random) -> list[str]:
    """A command line of pieces of command lines and of noise; never one that would train."""
    pieces = [
        "train",
        "list",
        "losses",
        "-m",
        "--dry-run",
        "--debug",
        "--plugin",
        "--plugin=x",
        "--config-dir",
        "--help",
    ]
    pieces += [
        "seed=1",
        "seed=1,2",
        "objective=reverse_kl",
        "a=b",
        "~seed",
        "+x.y=1",
        "++a={",
        "=",
        "==",
        "-",
        "--",
        "-x",
    ]
    pieces += [
        "experiment=x",
        "experiment=",
        "loss@a.b=forward_kl",
        "student=[small]",
        "hydra.x=1",
        "${a}",
        "'",
        '"',
        "\\",
    ]
    pieces += [
        "é=ü",
        "\x00",
        "\x1b[0m",
        "\ud800",
        "name=" + "x" * 3000,
        "a" * 300,
        "*",
        "data.path=~/(x)",
        "seed=1e",
        "@",
    ]
    made = [draw.choice(pieces) for _ in range(draw.randrange(0, 7))]
    noise = "".join(chr(draw.randrange(1, 0x2FF)) for _ in range(draw.randrange(1, 8)))
    return (
        [*made, *([noise] if draw.random() < 0.5 else []), "nonsense=here"] if made[:1] == ["train"] else [*made, noise]
    )


def test_random_command_lines_never_trace_back(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    draw = random.Random(0)
    for _ in range(200):
        argv = [word for word in words(draw) if word != "--debug"]
        code, _, err = lines(capsys, argv)
        assert code in (0, 2), (argv, err)
        assert "Traceback" not in err, argv
        assert "sorry" not in err, (argv, err)
    assert list(tmp_path.iterdir()) == []


def test_flags_are_read_wherever_they_stand() -> None:
    read = parse(["--debug", "train", "-m", "a=1,2", "--plugin", "mine", "--plugin=yours", "word", "--config-dir=d"])
    assert read == Arguments(
        verb="train",
        words=("word",),
        overrides=("a=1,2",),
        multirun=True,
        debug=True,
        plugins=("mine", "yours"),
        config_dir="d",
    )


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("experiment=hinton_2015", "experiments=hinton_2015/hinton_2015"),
        ("experiment=hinton_2015/weights", "experiments=hinton_2015/weights"),
        ("experiment=a,b/c", "experiments=a/a,b/c"),
        ("experiment=none", "experiments=none"),
        ("experiments=a/a", "experiments=a/a"),
    ],
)
def test_an_experiment_is_named_by_its_folder(given: str, meant: str) -> None:
    assert experiment(given) == meant


def test_the_program_is_found_by_python_too() -> None:
    assert program.__doc__ is not None

"""Configs that must be refused and variants that must not, made by the hundred from the real ``conf``.

``cases(seed, share)`` gives, for each kind of fault, overrides and (for faults inside files) the text of a choice
``student/tried.yaml`` in a folder of the person's own.
"""

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass

import yaml

from distill.cli.sources import CONF

COUNTS = {"typo": 300, "type": 200, "range": 150, "broken": 150, "contradiction": 100, "structure": 50, "hostile": 50}
"""How many of each make the thousand of the full run."""

NUMBERS = {
    "seed": (0, None),
    "student.layers": (1, None),
    "student.width": (1, None),
    "student.heads": (1, None),
    "student.dropout": (0, 1),
    "objective.temperature": (0, None),
    "objective.chunk": (1, None),
    "optim.learning_rate": (0, None),
    "optim.weight_decay": (0, None),
    "optim.beta1": (0, 1),
    "optim.beta2": (0, 1),
    "optim.warmup": (0, None),
    "optim.floor": (0, 1),
    "data.share": (0, 1),
    "data.validation": (0, 1),
    "data.test": (0, 1),
    "data.sequence_length": (1, None),
    "data.batch_size": (1, None),
    "data.seed": (0, None),
    "data.workers": (0, None),
}
"""Ranged numbers of the default config: their key, the least and the greatest."""
STRICT = {"objective.temperature", "optim.learning_rate", "data.share"}
"""Those whose least value is itself refused."""
WHOLE = {"seed", "student.layers", "student.width", "student.heads", "objective.chunk", "optim.warmup"} | {
    "data.sequence_length",
    "data.batch_size",
    "data.seed",
    "data.workers",
}
WORDS = {
    "name": "a text",
    "control": "one of",
    "optim.schedule": "one of",
    "student.architecture": "one of",
    "paths.root": "a text",
    "paths.sweeps": "a text",
    "logger.mode": "one of",
    "data.field": "a text",
}
SWITCHES = ["student.tied", "objective.compile", "data.packing", "objective.losses.kd.temperature_squared"]
OTHER = ["trainer.max_steps", "trainer.devices", "paths.cache", "cadence.validate", "objective.losses.kd.weight"]
STUDENT = (CONF / "student" / "small.yaml").read_text(encoding="utf-8")


@dataclass(frozen=True)
class Case:
    """One thing to try.

    Attributes:
        kind: of fault.
        overrides: of the command line.
        text: of ``student/tried.yaml``, bytes as they stand in the file; None for no file.
        expects: what the refusal must say.
    """

    kind: str
    overrides: tuple[str, ...]
    text: bytes | None = None
    expects: str = ""


def cases(seed: int, share: float = 1.0) -> list[Case]:
    """All kinds of refused configs, each ``share`` of its count."""
    draw = random.Random(seed)
    makers = {
        "typo": typo,
        "type": wrong_type,
        "range": out_of_range,
        "broken": broken,
        "contradiction": contradiction,
        "structure": structure,
        "hostile": hostile,
    }
    return [makers[kind](draw) for kind, count in COUNTS.items() for _ in range(math.ceil(count * share))]


def typo(draw: random.Random) -> Case:
    named = [*NUMBERS, *WORDS, *SWITCHES, *OTHER]
    key = draw.choice([key for key in named if "beta" not in key])  # beta1 or beta2 is a question of taste
    above, _, name = key.rpartition(".")
    wrong = _misspelt(name, draw)
    if key.startswith("student.") and draw.random() < 0.6:
        written = f"{STUDENT}{wrong}: 1\n".encode()
        line = written.count(b"\n")
        return Case("typo", ("student=tried",), written, f"tried.yaml:{line} student.{wrong}: ")
    whole = f"{above}.{wrong}" if above else wrong
    return Case("typo", (f"{draw.choice(['', '+', '++'])}{whole}=1",), expects=f"(did you mean {name}?)")


def wrong_type(draw: random.Random) -> Case:
    key = draw.choice([*NUMBERS, *WORDS, *SWITCHES])
    if key in NUMBERS:
        wrong = draw.choice(["hot", "[1]", "{a: 1}", "true", "'1'", "null", "''", *(["1.5"] if key in WHOLE else [])])
    elif key in SWITCHES:
        wrong = draw.choice(["1", "0", "'true'", "'no'", "null", "[true]"])
    else:
        wrong = draw.choice(["1", "true", "[a]", "{a: b}", "0.5"])
    if key.startswith("student."):
        name = key.partition(".")[2]
        written = "\n".join(line for line in STUDENT.splitlines() if not line.startswith(f"{name}:"))
        line = written.count("\n") + 2
        return Case("type", ("student=tried",), f"{written}\n{name}: {wrong}\n".encode(), f"tried.yaml:{line} {key}")
    return Case("type", (f"{key}={wrong.replace(' ', '')}",), expects=f"command line {key}")


def out_of_range(draw: random.Random) -> Case:
    key = draw.choice(list(NUMBERS))
    low, high = NUMBERS[key]
    below = [low - 1, low - 1000] + ([low] if key in STRICT else [low - 10])
    above = [high + 1, high + 1e6] if high is not None else []
    wrong = draw.choice([*below, *above, *([] if key in WHOLE else [".nan", ".inf", "-.inf"])])
    if isinstance(wrong, str):
        return Case("range", (f"{key}={wrong.replace('.', '')}",), expects=f"command line {key}")
    return Case("range", (f"{key}={wrong}",), expects=f"command line {key}")


def broken(draw: random.Random) -> Case:
    """A file that is not YAML any more; drawn again until it is not."""
    while True:
        lines = STUDENT.splitlines()
        index = draw.randrange(1, len(lines))
        wrong = draw.choice(
            [
                "{a: [1, 2",
                "\tindented: 1",
                "a: b: c",
                "'open",
                "- item",
                "key: 'open",
                "@at",
                "a: *none",
                "%x: 1",
                "[",
                ": :",
            ]
        )
        written = "\n".join([*lines[:index], wrong, *lines[index:]]) + "\n"
        try:
            yaml.safe_load(written)
        except yaml.YAMLError:
            return Case("broken", ("student=tried",), written.encode(), "tried.yaml:")


def contradiction(draw: random.Random) -> Case:
    made = draw.choice(["corpora", "control", "needs", "partial"])
    number = draw.randrange(1000)
    if made == "corpora":
        return Case("contradiction", (f"data.path=text{number}.txt", f"data.name=org/set{number}"), expects="data.name")
    if made == "control":
        control = draw.choice(["both", "steps", "compute"])
        given = ("teacher=none", "objective=cross_entropy", f"control={control}", f"seed={number}")
        return Case("contradiction", given, expects=f"control: got '{control}'")
    if made == "needs":
        objective = draw.choice(["forward_kl", "reverse_kl", "jensen_shannon", "hinton"])
        given = ("teacher=none", "control=none", f"objective={objective}", f"seed={number}")
        return Case("contradiction", given, expects="objective.losses.kd: needs 'logits'")
    group = draw.choice(["student", "teacher", "objective", "optim"])
    return Case("contradiction", (f"{group}._partial_=true", f"seed={number}"), expects=f"{group}._target_")


def structure(draw: random.Random) -> Case:
    nested = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"{b}: &{b} [{', '.join([f'*{a}'] * 10)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
    )
    texts = {
        "duplicate": STUDENT + "layers: 3\n",
        "cycle": STUDENT + "layers: ${student.width}\nwidth: ${student.layers}\n".replace("layers:", "kv_heads:", 1),
        "itself": STUDENT + "dropout: ${student.dropout}\n",
        "inside": STUDENT + "dropout: ${student}\n",
        "alias": "a: &a [*a]\n",
        "bomb": nested,
        "binary": bytes(draw.randrange(256) for _ in range(64)) + b"\xff",
        "nul": b"layers: 1\0\n",
        "empty": b"",
        "list": b"- 1\n- 2\n",
        "scalar": b"just words\n",
        "missing": STUDENT.replace("layers: 2", "layers: ???"),
        "number": STUDENT + "1: 2\n",
        "hydra": STUDENT + "hydra: {run: {dir: x}}\n",
        "defaults": "defaults: [nothing_there]\n",
        "date": STUDENT + "dropout: 2024-01-01\n",
        "key": STUDENT + "dropout: ${nowhere.at.all}\n",
        "resolver": STUDENT + "dropout: ${eval:1}\n",
        "tag": STUDENT + "dropout: !!python/object/apply:os.getcwd []\n",
    }
    made = draw.choice(list(texts))
    text = texts[made]
    return Case("structure", ("student=tried",), text if isinstance(text, bytes) else text.encode())


def hostile(draw: random.Random) -> Case:
    return Case(
        "hostile",
        (
            draw.choice(
                [
                    "optim.schedule='\x1b[31mred'",
                    "control=$(touch pwned)",
                    "control='`touch pwned`'",
                    "seed=__import__('os')",
                    "optim.schedule='" + "x" * 5000 + "'",
                    "student.../../etc=1",
                    "seed=١",
                    "control=nоne",  # a Cyrillic о
                    "student=../../../etc/passwd",
                    "teacher=/etc/passwd",
                    "control='a\nb'",
                    "=1",
                    "a.b.c=",
                    "seed=1; touch pwned",
                    "student=small\0",
                    "seed={",
                    "+x=[",
                    "~nothing",
                    "~seed.x",
                    "seed=${oc.env:NOT_SET_ANYWHERE}",
                    "seed=${hydra:runtime.cwd}",
                    "control=${control}",
                    "hydra.searchpath=[/tmp]",
                    "experiment=../../x",
                    "data.share=1e400",
                    "seed=" + "9" * 5000 + ".5",
                ]
            ),
        ),
    )


def variants(seed: int, count: int) -> Iterator[tuple[str, ...]]:
    """Valid command lines: other choices, numbers in their range, in every way of writing them."""
    draw = random.Random(seed)
    pieces = [
        lambda: f"objective={draw.choice(['forward_kl', 'reverse_kl', 'jensen_shannon', 'hinton'])}",
        lambda: f"objective.temperature={draw.choice(['1', '2.0', '1e-3', '1E2', '0.5', '10'])}",
        lambda: f"objective.losses.kd.weight={draw.choice(['0', '1', '0.9', '1e-3'])}",
        lambda: f"loss@objective.losses.kd={draw.choice(['reverse_kl', 'jensen_shannon'])}",
        lambda: "+loss@objective.losses.more=reverse_kl",
        lambda: f"seed={draw.randrange(10**6)}",
        lambda: f"name={draw.choice(['x', 'a b', '0', 'naïve'])!r}",
        lambda: f"control={draw.choice(['both', 'steps', 'compute', 'none'])}",
        lambda: f"student.layers={draw.randrange(1, 9)}",
        lambda: f"student.kv_heads={draw.choice(['null', '1', '2'])}",
        lambda: f"student.tied={draw.choice(['true', 'false'])}",
        lambda: f"data.share={draw.choice(['1', '1.0', '0.06', '1e-2'])}",
        lambda: f"data.path={draw.choice(['null', '~/texts', 'a/b.jsonl', 'C:/x'])}",
        lambda: f"logger={draw.choice(['wandb', 'csv', 'tensorboard', 'none'])}",
        lambda: f"trainer.precision={draw.choice(['32-true', 'bf16-mixed', '32'])}",
        lambda: f"trainer.max_steps={draw.randrange(1, 10**4)}",
        lambda: f"optim.schedule={draw.choice(['constant', 'linear', 'cosine'])}",
        lambda: f"debug={draw.choice(['none', 'fast'])}",
        lambda: f"teacher={draw.choice(['nursery', 'nursery_small', 'live'])}",
        lambda: "~objective.losses.ce",
        lambda: f"trainer.accelerator={draw.choice(['auto', 'cpu'])}",
    ]
    for _ in range(count):
        yield tuple(piece() for piece in draw.sample(pieces, draw.randrange(1, 6)))


def _misspelt(name: str, draw: random.Random) -> str:
    """A slip of the finger that is no other key."""
    while True:
        index = draw.randrange(len(name))
        slip = draw.choice(["drop", "double", "swap", "other"])
        wrong = {
            "drop": name[:index] + name[index + 1 :],
            "double": name[:index] + name[index] + name[index:],
            "swap": name[:index] + name[index + 1 : index + 2] + name[index] + name[index + 2 :],
            "other": name[:index] + draw.choice("qxz") + name[index + 1 :],
        }[slip]
        if len(wrong) > 2 and wrong != name and wrong.isidentifier():
            return wrong

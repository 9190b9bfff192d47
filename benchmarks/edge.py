"""The page from a teacher to a file on the edge: train, export, measure in turns, talk, and renew docs/edge.md.

    python benchmarks/edge.py                        # make edge: SmolLM2-135M, 10 to 20 minutes of one core
    python benchmarks/edge.py --run FOLDER           # another finished run, exported and told; docs stay as they are
    python benchmarks/edge.py --run FOLDER --docs    # the same into the docs

Every step is a command of the program that a person could type; they are printed. What the page shows is read from the
rows that the export wrote (``metrics.jsonl`` of the file, ``beside.jsonl`` of student and teacher, measured beside it
in the same minutes), nothing is typed by hand. The conversation is recorded from a terminal.
"""

import argparse
import json
import os
import pty
import re
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

from distill.rows import Row, read

ROOT = Path(__file__).resolve().parent.parent
PAGE, PICTURE = ROOT / "docs" / "edge.md", ROOT / "docs" / "edge_pareto.svg"
EXPORT = "onnx_int8_block32"
RECHECK = ("recheck.prompt_tokens=64", "recheck.new_tokens=16", "recheck.rounds=5")
SAID = ("Explain what a computer file is.", "/tokens", "/teacher", "The capital of France is", "/quit")
COLUMNS = (
    ("bits_per_byte", "bits per byte ↓", "{:.3f}"),
    ("accuracy_top1", "top-1 accuracy ↑", "{:.3f}"),
    ("top1_agreement", "top-1 agreement with the teacher ↑", "{:.3f}"),
    ("kl_to_teacher", "KL to the teacher, nats a token ↓", "{:.3f}"),
    ("ece", "calibration error (ECE) ↓", "{:.4f}"),
    ("parameters", "parameters", "{:,.0f}"),
    ("disk_bytes", "bytes of weights ↓", "{:,.0f}"),
    ("resident_memory", "resident memory, MiB ↓", "{:,.0f}"),
    ("first_token_ms", "first token after 64, ms ↓", "{:,.0f}"),
    ("first_token_ms/p95", "the same, 95th percentile", "{:,.0f}"),
    ("decode_token_ms", "a further token, ms ↓", "{:,.1f}"),
    ("decode_token_ms/p95", "the same, 95th percentile", "{:,.1f}"),
    ("decode_tokens_per_second", "decode, tokens/s ↑", "{:,.1f}"),
    ("prefill_tokens_per_second", "prefill, tokens/s ↑", "{:,.0f}"),
    ("decode_speedup_to_teacher", "times the teacher's decode ↑", "{:.1f}"),
    ("prefill_speedup_to_teacher", "times the teacher's prefill ↑", "{:.1f}"),
)


def main() -> None:
    told = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    told.add_argument("--run", type=Path, help="a finished run; by default one is made")
    told.add_argument("--docs", action="store_true", help="renew the docs of a run that is given")
    told.add_argument("--more", nargs="*", default=(), help="further words of distill export")
    words = told.parse_args()
    run = words.run or ROOT / "runs" / "smollm2_edge"
    if words.run is None:
        distill("train", "experiment=smollm2_edge", f"paths.run={run}")
    place = run / "exports" / f"student-{EXPORT.replace('_', '-')}"
    distill("export", str(run), f"export={EXPORT}", "licence=apache-2.0", *RECHECK, *words.more)
    talk = recorded("chat", str(place), "new_tokens=12", "top=3")
    subjects = told_by(place)
    blocks = {"table": f"{made(run)}\n\n{table(subjects)}", "chat": session(talk, place)}
    if words.run is None or words.docs:
        PICTURE.write_text(picture(subjects), encoding="utf-8")
        PAGE.write_text(renewed(PAGE.read_text(encoding="utf-8"), blocks), encoding="utf-8")
    print(blocks["table"], blocks["chat"], sep="\n\n")


def distill(*words: str) -> None:
    """Run a verb. Ends this program with its exit code where it fails."""
    print(f"$ distill {shlex.join(words)}", flush=True)
    done = subprocess.run([sys.executable, "-m", "distill", *words], cwd=ROOT, env=environment(), check=False)
    if done.returncode:
        sys.exit(done.returncode)


def environment() -> dict[str, str]:
    return {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "COLUMNS": "100", "TERM": "dumb", **os.environ}


def recorded(*words: str) -> str:
    """What a terminal showed of a verb that reads lines; each is typed when it is asked for."""
    ours, theirs = pty.openpty()
    command, lines, shown = [sys.executable, "-m", "distill", *words], list(SAID), ""
    asked = environment() | {"TERM": "dumb", "COLUMNS": "100"}
    done = subprocess.Popen(command, cwd=ROOT, env=asked, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    try:
        while piece := os.read(ours, 4096).decode("utf-8", "replace"):
            shown += piece
            if lines and (shown.endswith("\n> ") or shown == "> "):
                os.write(ours, f"{lines.pop(0)}\n".encode())
    except OSError:  # how a terminal says that nobody is there any more
        pass
    if done.wait():
        sys.exit(done.returncode)
    return shown.replace("\r\n", "\n")


def made(run: Path) -> str:
    """Which run it is, from its own provenance."""
    told = json.loads((run / "provenance.json").read_text(encoding="utf-8"))
    return f"The run: `{shlex.join(['distill', *told['command'][1:]])}`."


def told_by(place: Path) -> dict[str, Mapping[str, Row]]:
    """Rows by subject and metric: teacher, student, file."""
    found: dict[str, dict[str, Row]] = {"teacher": {}, "student": {}, place.name: {}}
    for row in (*read(place / "beside.jsonl"), *read(place / "metrics.jsonl")):
        found[row.subject][row.metric] = row
    return dict(found)


def table(subjects: Mapping[str, Mapping[str, Row]]) -> str:
    """A measure a line, with its interval where there is one."""
    lines = [f"| | {' | '.join(subjects)} |", f"|---|{'---:|' * len(subjects)}"]
    for metric, title, form in COLUMNS:
        cells = [cell(rows.get(metric), form) for rows in subjects.values()]
        if any(one != "–" for one in cells):
            lines.append(f"| {title} | {' | '.join(cells)} |")
    tokens = max((row.n for rows in subjects.values() for row in rows.values() if row.split == "test"), default=0)
    threads = next(rows["threads"].value for rows in subjects.values() if "threads" in rows)
    note = f"{tokens:,} tokens of test text; ± is half a 95 % interval over its pieces; {threads:.0f} thread; in turns."
    return "\n".join([*lines, "", note])


def cell(row: Row | None, form: str) -> str:
    if row is None:
        return "–"
    ends = "" if row.low is None or row.high is None else f" ± {form.format((row.high - row.low) / 2)}"
    return form.format(row.value) + ends


def session(talk: str, place: Path) -> str:
    """As it stands in the page."""
    return f"```text\n$ distill chat {place.parent.parent.name}/exports/{place.name}\n{talk.rstrip()}\n```"


def picture(subjects: Mapping[str, Mapping[str, Row]]) -> str:
    """Bits per byte against bytes of weights; the area of a mark is the decode speed, the line the Pareto front."""
    points = [
        (name, rows["disk_bytes"].value / 1e6, rows["bits_per_byte"].value, rows["decode_tokens_per_second"].value)
        for name, rows in subjects.items()
        if {"disk_bytes", "bits_per_byte", "decode_tokens_per_second"} <= set(rows)
    ]
    largest, worst, best = max(p[1] for p in points) * 1.15, max(p[2] for p in points), min(p[2] for p in points)
    margin, fastest = (worst - best) * 0.25 or 0.1, max(p[3] for p in points)

    def at(size: float, bits: float) -> tuple[float, float]:
        return 70 + 600 * size / largest, 40 + 300 * (worst + margin - bits) / (worst - best + 2 * margin)

    marks = [f'<polyline points="{front(points, at)}" fill="none" stroke="#888" stroke-dasharray="5 4"/>']
    for place, (name, size, bits, speed) in enumerate(sorted(points, key=lambda p: p[1])):
        x, y = at(size, bits)
        radius = 5 + 17 * (speed / fastest) ** 0.5
        marks.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}" fill="#3b6ea8" fill-opacity="0.55"/>')
        told = f"{size:,.3g} MB, {bits:.3f} bits a byte, {speed:,.1f} tokens/s"
        middle, down = min(max(x, 190), 550), y + radius + 15 if place % 2 else y - radius - 20  # beside no neighbour's
        for line, text in enumerate((escape(name), told)):
            marks.append(f'<text text-anchor="middle" x="{middle:.1f}" y="{down + 15 * line:.1f}">{text}</text>')
    ticks = [f'<text x="{at(s, 0)[0]:.0f}" y="358" text-anchor="middle">{s:.0f}</text>' for s in steps(largest)]
    axes = '<path d="M70 40V340H670" fill="none" stroke="#444"/><text x="370" y="382" text-anchor="middle">'
    axes += 'MB of weights</text><text x="70" y="24">bits per byte (better lies lower); area: decode speed</text>'
    bits = [f'<text x="62" y="{at(0, b)[1] + 4:.0f}" text-anchor="end">{b:.2f}</text>' for b in (best, worst)]
    style = 'font-family="sans-serif" font-size="13" fill="#222"'
    body = "\n".join([axes, *ticks, *bits, *marks])
    return f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 700 395" {style}>\n{body}\n</svg>\n'


def front(points: Sequence[tuple[str, float, float, float]], at) -> str:
    """From the smallest on, each that is better than all smaller ones."""
    kept: list[tuple[float, float]] = []
    for _, size, bits, _ in sorted(points, key=lambda p: (p[1], p[2])):
        if not kept or bits < kept[-1][1]:
            kept.append((size, bits))
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in (at(*one) for one in kept))


def steps(largest: float) -> list[float]:
    """Round numbers up to the largest."""
    unit = next(one for power in range(7) for one in (10**power, 2 * 10**power, 5 * 10**power) if largest / one < 8)
    return [float(i * unit) for i in range(int(largest // unit) + 1)]


def renewed(page: str, blocks: Mapping[str, str]) -> str:
    """The page with what stands between ``<!-- name -->`` and ``<!-- /name -->`` replaced."""
    for name, text in blocks.items():
        pattern = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
        if not pattern.search(page):
            sys.exit(f"{PAGE} has no <!-- {name} -->")
        page = pattern.sub(lambda found, text=text: f"{found[1]}\n{text}\n\n{found[2]}", page)
    return page


if __name__ == "__main__":
    main()

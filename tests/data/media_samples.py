"""Pictures and sounds made in milliseconds, with what is said of them."""

import json
import wave
from pathlib import Path

import numpy as np


def pictures(folder: Path, count: int = 40, side: int = 32) -> Path:
    """A folder of one box each, red or blue, with questions; one file is broken and one is missing."""
    from PIL import Image, ImageDraw

    rows = []
    for i in range(count):
        colour = ("red", "blue")[i % 2]
        drawn = Image.new("RGB", (side, side), "white")
        ImageDraw.Draw(drawn).rectangle([1 + i % 7, 1 + i // 7, 20, 20], fill=colour)
        drawn.save(folder / f"{i}.png")
        rows.append({"file_name": f"{i}.png", "text": colour, "question": "what colour?", "kind": "colour"})
        rows[-1]["description"] = f"a {colour} box"
    (folder / "broken.png").write_bytes(b"\x89PNG and no more")
    rows += [{"file_name": name, "text": "x", "question": "?"} for name in ("broken.png", "missing.png")]
    (folder / "metadata.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return folder


def tone(path: Path, hertz: float, seconds: float = 0.5, rate: int = 8000) -> None:
    """A sine, 16 bits."""
    time = np.arange(int(seconds * rate)) / rate
    samples = (np.sin(2 * np.pi * hertz * time) * 2**14).astype("<i2")
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(samples.tobytes())


def sounds(folder: Path, count: int = 24) -> Path:
    """A folder of tones, each with a .txt beside it; one is no sound, one is longer than a second."""
    for i in range(count):
        tone(folder / f"{i:02d}.wav", 200 + 40 * i, 0.4 + 0.01 * (i % 5))
        (folder / f"{i:02d}.txt").write_text(("high tone", "low tone")[i % 2], encoding="utf-8")
    tone(folder / "long.wav", 300, 2.5)
    (folder / "long.txt").write_text("low tone high tone", encoding="utf-8")
    (folder / "noise.wav").write_bytes(b"RIFF no sound")
    (folder / "noise.txt").write_text("nothing", encoding="utf-8")
    return folder

"""An exported ONNX folder as it runs: ONNX Runtime on the CPU, numpy, and nothing of torch.

Two kinds of graph are known: our own (``export=onnx``) and that of onnxruntime-genai's builder (``export=onnx_int4``),
which wants a mask as well and leaves the width of a head to its config.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from distill.errors import BadInput
from distill.export.runner import Runner

MASK, GENAI, ENCODER = "attention_mask", "genai_config.json", "encoder.onnx"
FACTS = "export.json"
"""What an exported folder says of itself: format, label, subject, file, vocabulary, positions."""


class OnnxRunner(Runner):
    """A session, and its keys and values between two calls.

    Args:
        folder: an export's; its ``export.json`` names the file.
        threads: that ONNX Runtime computes with.

    Raises:
        BadInput: onnxruntime is not installed, or the folder holds no file that it reads.
    """

    def __init__(self, folder: Path, threads: int = 1) -> None:
        self.folder = folder
        try:
            import onnxruntime
        except ImportError as problem:
            reason = f"needs onnxruntime to run ({problem})"
            raise BadInput(str(folder), reason, remedy="pip install 'distill-lab[onnx]'") from problem
        try:
            facts = json.loads((folder / FACTS).read_text(encoding="utf-8"))
            file, self.vocabulary, self.positions = folder / facts["file"], facts["vocabulary"], facts["positions"]
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = threads
            self.session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
            self.past = self._caches(folder)
            encoder, self.encoder = folder / ENCODER, None
            if encoder.is_file():
                cpu = ["CPUExecutionProvider"]
                self.encoder = onnxruntime.InferenceSession(str(encoder), options, providers=cpu)
        except Exception as problem:  # the runtime raises classes of its own at a file that it cannot read
            reason = f"holds no ONNX export that runs ({str(problem).splitlines()[0][:200]})"
            raise BadInput(str(folder), reason, remedy="make it again: distill export RUN export=onnx") from problem
        self.inputs = {one.name for one in self.session.get_inputs()}
        self.masked = MASK in self.inputs and self.encoder is None
        begun = "past_key_values" if self.masked else "past"
        self.outputs = ["logits", *(name.replace(begun, "present") for name in self.past)]
        self.restart()

    def _caches(self, folder: Path) -> dict[str, tuple[int, int]]:
        """Heads and the width of one, by the name of an input that holds keys or values."""
        inputs = [one for one in self.session.get_inputs() if one.name.startswith("past")]
        size = 0
        if any(not isinstance(one.shape[3], int) for one in inputs):
            told = json.loads((folder / GENAI).read_text(encoding="utf-8"))
            size = int(told["model"]["decoder"]["head_size"])
        return {one.name: (one.shape[1], one.shape[3] if isinstance(one.shape[3], int) else size) for one in inputs}

    def restart(self) -> None:
        self.heard: dict[str, np.ndarray] = {}
        self.state = self._empty(1)

    def hear(self, inputs: Mapping[str, np.ndarray]) -> None:
        if self.encoder is not None:
            wanted = {one.name for one in self.encoder.get_inputs()}
            given = {name: value for name, value in inputs.items() if name in wanted}
            if MASK in wanted and MASK not in given:
                given[MASK] = np.ones(given["input_ids"].shape, np.int64)
            states: Any = self.encoder.run(None, given)[0]
            self.heard = {"states": states} | ({MASK: given[MASK]} if MASK in self.inputs else {})

    def read(self, ids: Sequence[int], last: bool = False) -> np.ndarray:
        told, self.state = self.step(np.asarray([list(ids)], dtype=np.int64), self.state)
        return told[0, -1:] if last else told[0]

    def step(
        self, ids: np.ndarray, state: Mapping[str, np.ndarray] | None = None
    ) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """(B, S) ids after what the cache holds -> ((B, S, V) logits, the cache after them)."""
        rows, length = ids.shape
        before = self._empty(rows) if state is None else state
        seen = length + next((one.shape[2] for one in before.values()), 0)
        mask = {MASK: np.ones((rows, seen), np.int64)} if self.masked else {}
        told: list[Any] = list(self.session.run(self.outputs, {"input_ids": ids, **mask, **self.heard, **before}))
        return told[0][..., : self.vocabulary], dict(zip(self.past, told[1:], strict=True))

    def _empty(self, rows: int) -> dict[str, np.ndarray]:
        """A cache of nothing: (B, H, 0, D / H) each."""
        return {name: np.zeros((rows, heads, 0, size), np.float32) for name, (heads, size) in self.past.items()}

"""An exported ONNX folder as it runs: ONNX Runtime on the CPU, numpy, and nothing of torch."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from distill.errors import BadInput
from distill.export.runner import Runner

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
        except Exception as problem:  # the runtime raises classes of its own at a file that it cannot read
            reason = f"holds no ONNX export that runs ({str(problem).splitlines()[0][:200]})"
            raise BadInput(str(folder), reason, remedy="make it again: distill export RUN export=onnx") from problem
        self.past = {one.name: one.shape for one in self.session.get_inputs() if one.name != "input_ids"}
        self.restart()

    def restart(self) -> None:
        self.state = {
            name: np.zeros((1, shape[1], 0, shape[3]), np.float32)  # (1, H, 0, D / H)
            for name, shape in self.past.items()
        }

    def read(self, ids: Sequence[int], last: bool = False) -> np.ndarray:
        given = np.asarray([list(ids)], dtype=np.int64)  # (1, S)
        told: list[Any] = list(self.session.run(None, {"input_ids": given, **self.state}))
        self.state = dict(zip(self.past, told[1:], strict=True))
        logits: np.ndarray = told[0][0]  # (S, V)
        return logits[-1:] if last else logits

"""An exported ExecuTorch folder as it runs: ExecuTorch's own runtime for Python, which takes and gives torch's tensors.

The sizes of the cache and the longest text are read from the program itself. Left out on purpose: batches, for which
no memory was planned.
"""

import json
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from distill.errors import BadInput
from distill.export.onnx_runner import FACTS
from distill.export.runner import Runner

RUNTIME, LIBRARY = "executorch.runtime", "executorch.extension.pybindings.portable_lib"


class ExecutorchRunner(Runner):
    """A loaded program, and its keys and values between two calls.

    Args:
        folder: an export's; its ``export.json`` names the file.
        threads: that ExecuTorch computes with; they are one number for the whole process.

    Raises:
        BadInput: executorch is not installed, or the folder holds no program that it loads.
    """

    def __init__(self, folder: Path, threads: int = 1) -> None:
        self.folder = folder
        try:
            runtime: Any = import_module(RUNTIME)
            library: Any = import_module(LIBRARY)
        except ImportError as problem:
            reason = f"needs executorch to run ({problem})"
            raise BadInput(str(folder), reason, remedy="pip install 'distill-lab[executorch]'") from problem
        library._unsafe_reset_threadpool(threads)  # its only way to say so; nothing runs at this moment
        try:
            facts = json.loads((folder / FACTS).read_text(encoding="utf-8"))
            self.vocabulary = int(facts["vocabulary"])
            self.program: Any = runtime.Runtime.get().load_program(str(folder / facts["file"]))
            self.method: Any = self.program.load_method("forward")
            told = self.method.metadata
            sizes = [tuple(told.input_tensor_meta(i).sizes()) for i in range(told.num_inputs())]
            self.longest: int = sizes[0][1]  # that memory is planned for
            self.positions = self.longest
            self.shapes = [(1, heads, 0, width) for _, heads, _, width in sizes[1:]]
        except Exception as problem:  # the runtime raises classes of its own at a file that it cannot load
            reason = f"holds no ExecuTorch export that runs ({str(problem).splitlines()[0][:200]})"
            raise BadInput(
                str(folder), reason, remedy="make it again: distill export RUN export=executorch"
            ) from problem
        self.restart()

    def restart(self) -> None:
        self.seen, self.past = 0, [torch.zeros(shape) for shape in self.shapes]

    def read(self, ids: Sequence[int], last: bool = False) -> np.ndarray:
        """
        Raises:
            BadInput: the text is longer than the file reads.
        """
        if self.seen + len(ids) > self.longest:
            reason = f"reads texts of at most {self.longest} tokens"
            remedy = "export it with a larger export.positions, or give it shorter texts"
            raise BadInput(str(self.folder), reason, value=self.seen + len(ids), remedy=remedy)
        told: list[Tensor] = list(self.method.execute([torch.tensor([list(ids)]), *self.past]))
        self.seen, self.past = self.seen + len(ids), told[1:]
        logits = told[0][0]  # (S, V)
        return (logits[-1:] if last else logits).numpy()

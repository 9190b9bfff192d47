"""An ONNX graph with 4-bit matrices, made by the builder that comes with ``onnxruntime-genai``, and its script.

    input_ids (B, S), attention_mask (B, P + S), past_key_values.i.key, .value (B, H, P, D / H)
        ->  logits (B, S, V), present.i.key, present.i.value

The builder reads a folder of ``transformers``, knows the architectures itself and writes ONNX Runtime's fused operators
(``MatMulNBits``, ``GroupQueryAttention``); blocks of 32 weights share a scale. Plain ``onnxruntime`` runs the file, and
so does ``onnxruntime_genai`` by the ``genai_config.json`` beside it. It is started as the program that it is, in a
process of its own: what it prints and which functions it has change from release to release.

Left out on purpose: its other execution providers and precisions; float32 and int8 are in ``onnx.py``.
"""

import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import ClassVar

import torch

from distill.errors import BadInput
from distill.evaluation.subject import Subject
from distill.export.export import Bound, Export, Opened
from distill.export.onnx_runner import OnnxRunner
from distill.wheels import quiet

FILE, SCRIPT, SECONDS = "model.onnx", "generate.py", 3600
GENERATE = '''\
"""python generate.py "Once upon a time" [tokens]   (pip install onnxruntime tokenizers): greedy, with the cache."""
import json
import sys
from pathlib import Path
import numpy as np
import onnxruntime
from tokenizers import Tokenizer

HERE, END = Path(__file__).parent, {end}
tokenizer = Tokenizer.from_file(str(HERE / "tokenizer.json"))
session = onnxruntime.InferenceSession(str(HERE / "{file}"), providers=["CPUExecutionProvider"])
size = json.loads((HERE / "genai_config.json").read_text())["model"]["decoder"]["head_size"]
past = {{i.name: np.zeros((1, i.shape[1], 0, size), np.float32) for i in session.get_inputs() if "past" in i.name}}
names, seen = ["logits", *(name.replace("past_key_values", "present") for name in past)], 0
given, written = tokenizer.encode(sys.argv[1] if len(sys.argv) > 1 else "Once upon a time").ids, []
while len(written) < (int(sys.argv[2]) if len(sys.argv) > 2 else 40):
    seen += len(given)
    feed = {{"input_ids": np.array([given], np.int64), "attention_mask": np.ones((1, seen), np.int64), **past}}
    logits, *present = session.run(names, feed)
    past, given = dict(zip(past, present)), [int(logits[0, -1, :{vocabulary}].argmax())]
    if given[0] == END:
        break
    written += given
print(tokenizer.decode(written))
'''


class OnnxInt4(Export):
    """ONNX with 4-bit matrices in blocks of 32, by onnxruntime-genai's builder; run by ONNX Runtime.

    Args:
        bound: of the re-check.
    """

    format: ClassVar[str] = "onnx"

    def __init__(self, bound: Bound) -> None:
        self.bound = bound

    @property
    def label(self) -> str:
        return "onnx-int4"

    def check(self, student: Subject) -> None:
        if missing := [name for name in ("onnx", "onnxruntime", "onnxruntime_genai") if find_spec(name) is None]:
            reason = f"needs {', '.join(missing)}"
            raise BadInput("export", reason, value=self.label, remedy="pip install 'distill-lab[onnx,genai]'")
        if not student.tokenizer.is_fast:
            reason = "its tokenizer has no tokenizer.json, which the script beside the file reads"
            raise BadInput("export", reason, value=self.label, remedy="use a fast tokenizer")

    def write(self, student: Subject, folder: Path) -> str:
        """
        Raises:
            BadInput: the builder does not know the architecture.
        """
        with tempfile.TemporaryDirectory() as draft:
            source = Path(draft) / "model"
            with quiet():
                student.model.save_pretrained(source)
                student.tokenizer.save_pretrained(source)
            words = ["-i", str(source), "-o", str(folder), "-p", "int4", "-e", "cpu", "-c", str(Path(draft) / "cache")]
            command = [sys.executable, "-m", "onnxruntime_genai.models.builder", *words]
            done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
        if done.returncode or not (folder / FILE).is_file():
            said = (done.stderr.strip().splitlines() or ["it said nothing"])[-1][:200]
            reason = f"onnxruntime-genai cannot build this {student.model.config.model_type} ({said})"
            raise BadInput("export", reason, remedy="use export=onnx_int8 or export=gguf_q4_0")
        end = student.tokenizer.eos_token_id
        told = GENERATE.format(end=end if isinstance(end, int) else None, file=FILE, vocabulary=student.vocabulary)
        (folder / SCRIPT).write_text(told, encoding="utf-8")
        return FILE

    def open(self, folder: Path, student: Subject) -> Opened:
        runner = OnnxRunner(folder, torch.get_num_threads())
        return Opened(runner, "ONNX Runtime", runner)

    def usage(self, file: str) -> str:
        return f'```sh\npip install onnxruntime tokenizers\npython {SCRIPT} "Once upon a time" 40\n```'

"""An ONNX graph with keys and values as inputs and outputs, in float32 or with int8 weights, and a script that runs it.

    input_ids (B, S), past.i.key, past.i.value (B, H, P, D / H)  ->  logits (B, S, V), present.i.key, present.i.value

One graph reads a prompt (P = 0) and writes on. The head is cut to the ids that mean something. What the exporter notes
beside each node (stack traces with the paths of this machine) is removed.

Left out on purpose: optimum, which does not fit transformers 5, and int4, for which ONNX Runtime has operators of its
own that another builder writes (``onnx_int4.py``).
"""

import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import ClassVar, Literal

import torch
from transformers import PreTrainedModel

from distill.errors import BadInput
from distill.evaluation.subject import Subject
from distill.export.cached_step import CachedStep, past_of, silent
from distill.export.export import Bound, Export, Opened
from distill.export.narrow import by_blocks, with_one_scale
from distill.export.onnx_pair import save_pair
from distill.export.onnx_runner import ENCODER, OnnxRunner
from distill.families import named_family
from distill.models import shape
from distill.ranges import Count
from distill.wheels import quiet

FILE, SCRIPT = "model.onnx", "generate.py"
LARGEST = 1_900_000_000
"""Bytes of weights inside one file; protobuf ends at 2 GiB, so more go into a file beside it."""
GENERATE = '''\
"""python generate.py "Once upon a time" [tokens]   (pip install onnxruntime tokenizers): greedy, with the cache."""
import sys
from pathlib import Path
import numpy as np
import onnxruntime
from tokenizers import Tokenizer

HERE, END = Path(__file__).parent, {end}
tokenizer = Tokenizer.from_file(str(HERE / "tokenizer.json"))
session = onnxruntime.InferenceSession(str(HERE / "{file}"), providers=["CPUExecutionProvider"])
shapes = {{one.name: one.shape for one in session.get_inputs() if one.name != "input_ids"}}
past = {{name: np.zeros((1, shape[1], 0, shape[3]), np.float32) for name, shape in shapes.items()}}
given = tokenizer.encode(sys.argv[1] if len(sys.argv) > 1 else "Once upon a time").ids
written = []
while len(written) < (int(sys.argv[2]) if len(sys.argv) > 2 else 40):
    logits, *present = session.run(None, {{"input_ids": np.array([given], np.int64), **past}})
    past, given = dict(zip(past, present)), [int(logits[0, -1].argmax())]
    if given[0] == END:
        break
    written += given
print(tokenizer.decode(written))
'''


class Onnx(Export):
    """ONNX with a cache, float32 or dynamic int8, run by ONNX Runtime from a script of 20 lines beside it.

    Args:
        bound: of the re-check.
        weights: ``int8`` stores matrices in 8 bits and rounds what they are multiplied with as it comes.
        per_channel: a scale for each column of a matrix instead of one for all of it.
        block: a scale for every so many numbers of a matrix and of what it is multiplied with. None takes one for all.
        head_rank: write the head as two thin matrices of this rank, the nearest to it; exact for a student that was
            trained with a head of that rank (``student=low_rank_head``). None writes it whole.
    """

    format: ClassVar[str] = "onnx"

    def __init__(
        self,
        bound: Bound,
        weights: Literal["float32", "int8"] = "float32",
        per_channel: bool = False,
        block: Literal[16, 32, 64, 128] | None = None,
        head_rank: Count | None = None,
    ) -> None:
        self.bound, self.weights, self.head_rank = bound, weights, head_rank
        self.per_channel, self.block = per_channel, block
        self.pair = False

    @property
    def label(self) -> str:
        name = "onnx" if self.weights == "float32" else f"onnx-{self.weights}"
        name = name if self.block is None or self.weights == "float32" else f"{name}-block{self.block}"
        return name if self.head_rank is None else f"{name}-head{self.head_rank}"

    def check(self, student: Subject) -> None:
        if missing := [name for name in ("onnx", "onnxscript", "onnxruntime") if find_spec(name) is None]:
            reason = f"needs {', '.join(missing)}"
            raise BadInput("export", reason, value=self.label, remedy="pip install 'distill-lab[onnx]'")
        if not student.tokenizer.is_fast:
            reason = "its tokenizer has no tokenizer.json, which the script beside the file reads"
            raise BadInput("export", reason, value=self.label, remedy="use a fast tokenizer")
        model = student.model
        if not model.config.is_encoder_decoder and named_family(model) not in ("causal", None):
            reason = f"no ONNX graph is written of a {named_family(model)} model without an encoder of its own"
            raise BadInput("export", reason, value=model.config.model_type, remedy="use export=huggingface")

    def write(self, student: Subject, folder: Path) -> str:
        with silent(), quiet():
            if student.model.config.is_encoder_decoder:
                self._write_pair(student, folder)
            elif self.weights == "float32":
                _save(student, folder / FILE, rank=self.head_rank)
            else:
                with tempfile.TemporaryDirectory(dir=folder) as draft:
                    _save(student, Path(draft) / FILE, tied=False, rank=self.head_rank)
                    self._quantise(student, Path(draft) / FILE, folder / FILE)
            student.tokenizer.save_pretrained(folder)
        student.model.config.save_pretrained(folder)
        if student.model.config.is_encoder_decoder:
            return FILE
        end = student.tokenizer.eos_token_id
        told = GENERATE.format(end=end if isinstance(end, int) else None, file=FILE)
        (folder / SCRIPT).write_text(told, encoding="utf-8")
        return FILE

    def open(self, folder: Path, student: Subject) -> Opened:
        runner = OnnxRunner(folder, torch.get_num_threads())
        return Opened(runner, "ONNX Runtime", runner)

    def usage(self, file: str) -> str:
        if self.pair:
            return "`encoder.onnx` once, then `model.onnx` with its `states` token by token; names and shapes in both."
        return f'```sh\npip install onnxruntime tokenizers\npython {SCRIPT} "Once upon a time" 40\n```'

    def _write_pair(self, student: Subject, folder: Path) -> None:
        self.pair = True
        with tempfile.TemporaryDirectory(dir=folder) as draft:
            files = [Path(draft) / name for name in (ENCODER, FILE)]
            try:
                save_pair(student, *files)
            except Exception as problem:  # as in ``_save``
                kind = student.model.config.model_type
                reason = f"torch.onnx cannot export this {kind} ({str(problem).splitlines()[0][:200]})"
                raise BadInput("export", reason, remedy="use export=huggingface") from problem
            for file in files:
                _clean(file)
                if self.weights == "float32":
                    file.replace(folder / file.name)
                else:
                    self._quantise(student, file, folder / file.name)

    def _quantise(self, student: Subject, source: Path, file: Path) -> None:
        apart = _bytes(student.model) // 4 > LARGEST
        if self.block is None:
            with_one_scale(source, file, self.per_channel, apart)
        else:
            by_blocks(source, file, self.block, apart)


def _save(student: Subject, file: Path, tied: bool = True, rank: int | None = None) -> None:
    model = student.model
    model.eval()
    places, past = past_of(model)
    ids = torch.zeros(2, 3, dtype=torch.long)  # (B, S): sizes of 0 and 1 would be taken for constants
    free = torch.export.Dim.DYNAMIC
    try:
        with torch.no_grad():
            program = torch.onnx.export(
                CachedStep(model, student.vocabulary, tied, rank).eval(),
                (ids, past),
                dynamic_shapes=({0: free, 1: free}, [{0: free, 2: free} for _ in past]),
                input_names=["input_ids", *(f"past.{place}" for place in places)],
                output_names=["logits", *(f"present.{place}" for place in places)],
                dynamo=True,
                verbose=False,
            )
    except Exception as problem:  # the exporter raises what it likes at an architecture that it cannot follow
        reason = f"torch.onnx cannot export this {model.config.model_type} ({str(problem).splitlines()[0][:200]})"
        raise BadInput("export", reason, remedy="use export=huggingface or export=gguf") from problem
    assert program is not None
    program.save(str(file), external_data=_bytes(model) > LARGEST)
    _clean(file)


def _clean(file: Path) -> None:
    """Readable names of sizes; no stack traces, which are larger than a small model and tell of this machine."""
    import onnx

    graph = onnx.load(str(file), load_external_data=False)
    sizes = ("batch", "", "past", "")
    for one in (*graph.graph.input, *graph.graph.output):
        names = ("batch", "sequence", "") if one.name in ("input_ids", "logits") else sizes
        for size, name in zip(one.type.tensor_type.shape.dim, names, strict=False):
            if name and size.HasField("dim_param"):
                size.dim_param = "past_and_sequence" if one.name.startswith("present") and name == "past" else name
    del graph.graph.value_info[:]
    told = [graph, graph.graph, *graph.graph.node, *graph.graph.initializer, *graph.graph.input, *graph.graph.output]
    for one in (*told, *graph.functions, *(node for function in graph.functions for node in function.node)):
        one.ClearField("doc_string")
        one.ClearField("metadata_props")
    onnx.save(graph, str(file))


def _bytes(model: PreTrainedModel) -> int:
    return 4 * shape(model).parameters

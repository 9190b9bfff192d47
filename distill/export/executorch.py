"""A decoder as an ExecuTorch program with keys and values as inputs and outputs, for XNNPACK, and its script.

    input_ids (1, S), past keys and values (1, H, P, D / H)  ->  logits (1, S, V), keys and values (1, H, P + S, D / H)

``torch.export`` traces one step with the lengths of ids and cache free; XNNPACK takes what it can of the graph,
portable kernels the rest. Experimental: tried on tiny Llama models, on Linux, in ExecuTorch's runtime for Python.

Left out on purpose: a cache that lives inside the program, which ties it to one length; int8 and int4 weights; the
other backends (Core ML, Vulkan, Qualcomm), none of which runs here; encoders.
"""

from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar

import torch

from distill.errors import BadInput
from distill.evaluation.subject import Subject
from distill.export.cached_step import CachedStep, past_of, silent
from distill.export.executorch_runner import ExecutorchRunner
from distill.export.export import Bound, Export, Opened
from distill.families import named_family
from distill.ranges import Count
from distill.wheels import quiet

FILE, SCRIPT = "model.pte", "generate.py"
GENERATE = '''\
"""python generate.py "Once upon a time" [tokens]   (pip install executorch tokenizers): greedy, with the cache."""
import sys
from pathlib import Path
import torch
from executorch.runtime import Runtime
from tokenizers import Tokenizer

HERE, END = Path(__file__).parent, {end}
tokenizer = Tokenizer.from_file(str(HERE / "tokenizer.json"))
program = Runtime.get().load_program(str(HERE / "{file}"))
step = program.load_method("forward")
sizes = [step.metadata.input_tensor_meta(i).sizes() for i in range(step.metadata.num_inputs())]
past = [torch.zeros(1, heads, 0, width) for _, heads, _, width in sizes[1:]]
given = tokenizer.encode(sys.argv[1] if len(sys.argv) > 1 else "Once upon a time").ids
written, room = [], sizes[0][1] - len(given)
while len(written) < min(room, int(sys.argv[2]) if len(sys.argv) > 2 else 40):
    logits, *past = step.execute([torch.tensor([given]), *past])
    given = [int(logits[0, -1].argmax())]
    if given[0] == END:
        break
    written += given
print(tokenizer.decode(written))
'''


class Executorch(Export):
    """An ExecuTorch program for XNNPACK, float32, with a cache, and a script of 20 lines beside it. Experimental.

    Args:
        bound: of the re-check.
        positions: the longest text that it reads, where the model has no fewer positions; the runtime plans its memory
            for logits of so many tokens at once.
    """

    format: ClassVar[str] = "executorch"

    def __init__(self, bound: Bound, positions: Count = 512) -> None:
        self.bound, self.positions = bound, positions

    @property
    def label(self) -> str:
        return "executorch"

    def check(self, student: Subject) -> None:
        model, kind = student.model, student.model.config.model_type
        if model.config.is_encoder_decoder:
            reason = "no ExecuTorch program is written of a model with an encoder"
            raise BadInput("export", reason, value=kind, remedy="use export=onnx")
        if named_family(model) not in ("causal", None):
            reason = f"no ExecuTorch program is written of a {named_family(model)} model"
            raise BadInput("export", reason, value=kind, remedy="use export=huggingface")
        if not student.tokenizer.is_fast:
            reason = "its tokenizer has no tokenizer.json, which the script beside the file reads"
            raise BadInput("export", reason, value=self.label, remedy="use a fast tokenizer")
        if find_spec("executorch") is None:
            raise BadInput(
                "export", "needs executorch", value=self.label, remedy="pip install 'distill-lab[executorch]'"
            )

    def write(self, student: Subject, folder: Path) -> str:
        """
        Raises:
            BadInput: torch.export or ExecuTorch cannot follow the architecture.
        """
        kind = student.model.config.model_type
        with silent(), quiet():
            try:
                program = _lowered(student, self.positions)
            except Exception as problem:  # they raise what they like at an architecture that they cannot follow
                reason = f"ExecuTorch cannot take this {kind} ({(str(problem).splitlines() or [''])[0][:200]})"
                raise BadInput("export", reason, remedy="use export=onnx or export=huggingface") from problem
            student.tokenizer.save_pretrained(folder)
        with (folder / FILE).open("wb") as file:
            program.write_to_file(file)
        student.model.config.save_pretrained(folder)
        end = student.tokenizer.eos_token_id
        told = GENERATE.format(end=end if isinstance(end, int) else None, file=FILE)
        (folder / SCRIPT).write_text(told, encoding="utf-8")
        return FILE

    def open(self, folder: Path, student: Subject) -> Opened:
        with silent():
            runner = ExecutorchRunner(folder, torch.get_num_threads())
        return Opened(runner, "ExecuTorch's runtime for Python", runner)

    def usage(self, file: str) -> str:
        return f'```sh\npip install executorch tokenizers\npython {SCRIPT} "Once upon a time" 40\n```'


def _lowered(student: Subject, positions: int) -> Any:
    """The program that ExecuTorch writes to a file."""
    partitioner: Any = import_module("executorch.backends.xnnpack.partition.xnnpack_partitioner")
    exir: Any = import_module("executorch.exir")
    model = student.model.eval()
    longest = min(positions, getattr(model.config, "max_position_embeddings", None) or positions)
    past = [half[:1].clone() for half in past_of(model)[1]]  # (1, H, P, D / H)
    ids = torch.zeros(1, 3, dtype=torch.long)  # another length than P; sizes of 0 and 1 would be taken for constants
    length, before = torch.export.Dim("length", min=1, max=longest), torch.export.Dim("before", min=0, max=longest)
    with torch.no_grad():
        step = CachedStep(model, student.vocabulary).eval()
        shapes = ({1: length}, [{2: before} for _ in past])
        traced = torch.export.export(step, (ids, past), dynamic_shapes=shapes, strict=False)
        edge = exir.to_edge_transform_and_lower(traced, partitioner=[partitioner.XnnpackPartitioner()])
        return edge.to_executorch()

"""A folder that transformers loads by itself: safetensors, tokenizer, chat template, generation config.

Left out on purpose: uploading. Nobody's model leaves a machine by a training tool's default.
"""

import copy
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch

from distill.evaluation.subject import Subject
from distill.export.export import Bound, Export, Opened
from distill.export.torch_runner import TorchRunner
from distill.families import named_family
from distill.folders import Precision, load_model
from distill.wheels import quiet

USAGE = """\
```python
from transformers import AutoModelForCausalLM, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained(".")
model = AutoModelForCausalLM.from_pretrained(".")
inputs = tokenizer("Once upon a time", return_tensors="pt")
print(tokenizer.decode(model.generate(**inputs, max_new_tokens=40)[0]))
```"""


OTHERS = """\
```python
from transformers import {model}

model = {model}.from_pretrained(".")  # the tokenizer lies beside it
```"""


class HuggingFace(Export):
    """Safetensors with tokenizer and generation config, loaded by transformers without this package.

    Args:
        bound: of the re-check.
        dtype: of the weights as written.
    """

    format: ClassVar[str] = "huggingface"

    def __init__(self, bound: Bound, dtype: Literal["float32", "bfloat16", "float16"] = "float32") -> None:
        self.bound = bound
        self.dtype: Precision = dtype
        self.told = USAGE

    @property
    def label(self) -> str:
        return "huggingface" if self.dtype == "float32" else f"huggingface-{self.dtype}"

    def check(self, student: Subject) -> None:
        return

    def write(self, student: Subject, folder: Path) -> str:
        model: Any = student.model
        if named_family(model) not in ("causal", None):
            self.told = OTHERS.format(model=type(model).__name__)
        if self.dtype != "float32":
            model = copy.deepcopy(model).to(getattr(torch, self.dtype))
        with quiet():
            model.save_pretrained(folder)
            student.tokenizer.save_pretrained(folder)
        return "model.safetensors"

    def open(self, folder: Path, student: Subject) -> Opened:
        model = load_model(str(folder), None, self.dtype)
        runner = TorchRunner(model, student.vocabulary)
        return Opened(runner, "transformers", runner)

    def usage(self, file: str) -> str:
        return self.told

"""A LoRA adapter merged into the model that it was trained for: the teacher is then an ordinary model.

Left out on purpose: other kinds of adapters, and swapping several on one base while it runs. Nothing of the folder is
executed: peft would import a module that ``megatron_core`` names beside a ``megatron_config``, and unpickle a ``.bin``;
both are refused first (an ``auto_mapping`` is read by peft's AutoPeftModel alone).
"""

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, cast

from distill.errors import BadInput
from distill.storage import read_json

if TYPE_CHECKING:
    from transformers import PreTrainedModel

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
CODE = "megatron_config"


def checked_adapter(folder: str) -> Path:
    """The folder, if it is a LoRA adapter that can be read without running anything; no weight is loaded.

    Raises:
        BadInput: it is not.
    """
    here = Path(folder).expanduser()
    told = read_json(here / CONFIG)
    if told is None:
        reason = f"holds no readable {CONFIG}"
        raise BadInput(str(here), reason, remedy="name the folder that peft's save_pretrained wrote")
    if told.get("peft_type") != "LORA":
        raise BadInput(str(here / CONFIG), "only LoRA adapters are merged", value=told.get("peft_type"))
    if told.get(CODE):
        raise BadInput(str(here / CONFIG), f"names code to import ({CODE}), which is never run")
    if not (here / WEIGHTS).is_file():
        raise BadInput(str(here), f"holds no {WEIGHTS}", remedy="save it again with a recent peft")
    _refuse_missing()
    return here


def merged(model: "PreTrainedModel", folder: Path) -> "PreTrainedModel":
    """The model with the adapter's low-rank products added to its weights.

    Formula: W' = W + α / r · B A
    Source: Hu et al. (2022). LoRA. arXiv:2106.09685

    Raises:
        BadInput: the adapter is not this model's.
    """
    from peft import PeftModel

    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", category=FutureWarning)  # between peft and transformers, of no use here
            warnings.filterwarnings("error", message="Found missing adapter keys")
            made = PeftModel.from_pretrained(model, str(folder)).merge_and_unload()  # pyright: ignore[reportCallIssue]
    except Exception as problem:  # a stranger's folder: whatever peft makes of it is the folder's fault
        said = (str(problem).strip().splitlines() or [type(problem).__name__])[0][:200]
        raise BadInput(
            str(folder), f"does not fit the teacher ({said})", remedy="name its base as teacher.path"
        ) from None
    return cast("PreTrainedModel", made)


def _refuse_missing() -> None:
    from importlib.util import find_spec

    if find_spec("peft") is None:
        reason = "needs peft, which is not installed"
        raise BadInput("teacher.adapter", reason, remedy="pip install 'distill-lab[peft]', or merge it beforehand")

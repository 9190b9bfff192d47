"""A teacher's body in the computer's memory while it computes on an accelerator: layers are moved there one by one.

Embedding, norm and head stay on the device, for the signal is made of the head. Left out on purpose: offloading to a
disk, and doing so on a machine without an accelerator, where nothing would be saved.
"""

from importlib.util import find_spec
from typing import TYPE_CHECKING

import torch

from distill.errors import BadInput

if TYPE_CHECKING:
    from transformers import PreTrainedModel

KEY = "teacher.offload"


def refuse_pointless() -> None:
    """Refuse to offload where there is no accelerator, or nothing to do it with; before a weight is loaded.

    Raises:
        BadInput: so.
    """
    if not torch.accelerator.is_available():
        reason = (
            "there is no accelerator here whose memory it would save; the teacher is in the computer's memory anyway"
        )
        raise BadInput(KEY, reason, value=True, remedy=f"write {KEY}=false")
    if find_spec("accelerate") is None:
        raise BadInput(KEY, "needs accelerate, which is not installed", remedy="pip install 'distill-lab[peft]'")


def offload_body(model: "PreTrainedModel", device: torch.device) -> None:
    """Keep the body's weights in the computer's memory from now on, and compute on ``device``; in place."""
    from accelerate import cpu_offload

    cpu_offload(model.base_model, execution_device=device, offload_buffers=False)
    head = model.get_output_embeddings()
    assert head is not None, "check_head has passed"
    head.to(device)


def bring_back(model: "PreTrainedModel") -> None:
    """An ordinary model in the computer's memory again; in place."""
    from accelerate.hooks import remove_hook_from_submodules

    remove_hook_from_submodules(model.base_model)
    model.tie_weights()

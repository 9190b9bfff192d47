"""A trained student as an ordinary transformers model: adapters merged, roundings and products written out.

While it is trained, a student may have parts that no loader knows: LoRA layers of peft, and weights that are computed
from others (``torch.nn.utils.parametrize``: rounding, low rank). Its folder has none of them.
"""

from importlib.util import find_spec
from typing import Any

from torch import nn
from torch.nn.utils import parametrize
from transformers import PreTrainedModel

from distill.students.rounding import RoundedInputs


def plain(model: PreTrainedModel) -> PreTrainedModel:
    """The same model without such parts, changed in place; its answers are the same in evaluation mode."""
    _merge(model)
    for module in list(model.modules()):
        if parametrize.is_parametrized(module):
            for name in _ours(module):
                parametrize.remove_parametrizations(module, name, leave_parametrized=True)
    for module in model.modules():
        RoundedInputs.removed(module)
    return model


def _ours(module: nn.Module) -> list[str]:
    """The names that were parametrised here; an architecture's own (the weight norm of wav2vec2) stand in its files."""
    told: Any = module.parametrizations
    return [name for name in told if all(type(one).__module__.startswith("distill.") for one in told[name])]


def _merge(model: PreTrainedModel) -> None:
    """LoRA layers become the layers that they stand around: W + α / r · B A."""
    if find_spec("peft") is None:
        return
    from peft.tuners.tuners_utils import BaseTunerLayer

    for path, module in list(model.named_modules()):
        if isinstance(module, BaseTunerLayer):
            module.merge()  # pyright: ignore[reportCallIssue]
            base = module.get_base_layer()
            base.requires_grad_(True)
            owner, _, name = path.rpartition(".")
            setattr(model.get_submodule(owner), name, base)
    vars(model).pop("peft_config", None)

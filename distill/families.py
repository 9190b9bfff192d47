"""The families of models: which of transformers' classes answers a task, told by a config without a weight.

A folder says itself what it was saved as (``architectures`` in its config.json); a task may ask for another class of
the same body, as a classifier that is made of a bare encoder. Left out on purpose: loading, which is ``folders.py``.
"""

from typing import TYPE_CHECKING, Any

from transformers import (
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForCTC,
    AutoModelForImageTextToText,
    AutoModelForMaskedLM,
    AutoModelForSeq2SeqLM,
    AutoModelForSequenceClassification,
    AutoModelForSpeechSeq2Seq,
    PreTrainedConfig,
)
from transformers.models.auto.modeling_auto import MODEL_FOR_MASKED_LM_MAPPING

from distill.errors import BadInput
from distill.types import Family, Task

if TYPE_CHECKING:
    from transformers import PreTrainedModel

AUTO: dict[Family, Any] = {
    "causal": AutoModelForCausalLM,
    "seq2seq": AutoModelForSeq2SeqLM,
    "speech": AutoModelForSpeechSeq2Seq,
    "image_text": AutoModelForImageTextToText,
    "masked": AutoModelForMaskedLM,
    "classification": AutoModelForSequenceClassification,
    "ctc": AutoModelForCTC,
    "encoder": AutoModel,
}
"""Auto classes in the order in which a class that stands in several is looked for."""


def architecture(config: PreTrainedConfig, family: Family) -> "type[PreTrainedModel]":
    """The class of a family for a config.

    Raises:
        BadInput: transformers has none.
    """
    mapping = AUTO[family]._model_mapping
    if type(config) not in mapping:
        raise BadInput(f"model {config.model_type}", f"transformers has no {family} model of this type")
    found = mapping[type(config)]
    return found[0] if isinstance(found, tuple) else found


def family_of(config: PreTrainedConfig) -> Family:
    """What a config was saved as; of one that does not tell, the first family that has its type.

    A bare body counts as an encoder if it can fill masks, and else as the causal model that it usually is.
    """
    known: dict[Family, Any] = {name: auto._model_mapping for name, auto in AUTO.items()}
    candidates: list[Family] = [name for name, mapping in known.items() if type(config) in mapping]
    for saved in config.architectures or ():
        for name in candidates:
            if name != "encoder" and architecture(config, name).__name__ == saved:
                return name
        if saved == _bare(config) and type(config) in MODEL_FOR_MASKED_LM_MAPPING:
            return "encoder"
    return candidates[0] if candidates else "causal"


def named_family(model: "PreTrainedModel") -> Family | None:
    """The family of a loaded model by the name of its class; None of a class that transformers does not list."""
    for name in AUTO:
        if type(model).__name__ in _names(name):
            return name
    return None


def fitted(config: PreTrainedConfig, task: Task) -> PreTrainedConfig:
    """The config with what a task knows: the names of its labels, the token a decoder begins with. Changes it."""
    if task.labels:
        config.id2label = dict(enumerate(task.labels))
        config.label2id = {label: number for number, label in enumerate(task.labels)}
    if task.start is not None:
        config.decoder_start_token_id = task.start
    return config


def labels_of(config: PreTrainedConfig) -> tuple[str, ...]:
    """The names of a classifier's labels, in the order of its logits."""
    told: Any = config.id2label or {}
    return tuple(str(told[number]) for number in sorted(told))


def _names(family: Family) -> frozenset[str]:
    """Names of the classes of a family; no class is imported."""
    told = AUTO[family]._model_mapping._model_mapping.values()
    return frozenset(name for one in told for name in (one if isinstance(one, (tuple, list)) else (one,)))


def _bare(config: PreTrainedConfig) -> str:
    mapping = AutoModel._model_mapping
    if type(config) not in mapping:
        return ""
    found: Any = mapping[type(config)]
    return (found[0] if isinstance(found, tuple) else found).__name__

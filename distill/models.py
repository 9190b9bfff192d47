"""What the house asks of a transformers model: its sizes, its head, and its answer at supervised positions.

A model of any family answers with the state before the head and with the head itself, never with logits: ``[N, V]``
is made chunk by chunk where a loss or a measure needs it. The decoder's states answer for an encoder-decoder, the
pooled state for a classifier, whose vocabulary is its labels. Loading is in ``folders.py``.

Left out on purpose: models without a linear head (``check_head`` refuses them), and logits at every position.
"""

import copy
import inspect
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedConfig, PreTrainedModel

from distill.errors import BadInput
from distill.families import AUTO, family_of, named_family
from distill.heads import added_bias, head_layer, headless, stands_on_body
from distill.probe import probe
from distill.types import Family, Head, ModelShape, Outputs, Request

NOTHING_MORE = Request()


def shape(model: PreTrainedModel | PreTrainedConfig, family: Family | None = None) -> ModelShape:
    """The sizes of a model, of an encoder-decoder its decoder's; of a config without a weight (on the meta device).

    Args:
        family: of a config that does not say what it was saved as.

    Raises:
        BadInput: the config is not that of such a model, or its values contradict each other.
    """
    built = _unweighted(model, family) if isinstance(model, PreTrainedConfig) else model
    config = built.config.get_text_config(decoder=True)
    embedding, output = _token_embedding(built), head_layer(built)
    heads = config.num_attention_heads
    rows = 0 if output is None else output.out_features
    spoken = embedding.shape[0] if embedding is not None and named_family(built) in ("causal", None) else rows
    return ModelShape(
        layers=getattr(config, "num_decoder_layers", None) or config.num_hidden_layers,
        width=config.hidden_size,
        heads=heads,
        vocabulary=spoken,
        parameters=sum(parameter.numel() for parameter in built.parameters()),
        embedding_parameters=0 if embedding is None else embedding.numel(),
        tied=output is not None and output.weight is embedding,
    )


def token_embedding(model: PreTrainedModel) -> Tensor:
    """(V, D) the weights of the input embedding."""
    weight = model.get_input_embeddings().weight
    assert isinstance(weight, Tensor)
    return weight


def head(model: PreTrainedModel) -> Head:
    """The linear head and what the architecture does to its product; over no ids for a bare encoder.

    The weights are the model's own, not copies: a gradient reaches them, tied or not.

    Raises:
        BadInput: the model has no linear head.
    """
    layer = head_layer(model)
    config = model.config.get_text_config(decoder=True)
    if layer is None:
        return Head(torch.zeros(0, config.hidden_size, device=model.device, dtype=model.dtype))
    scale, softcap = _tricks(config)
    more = added_bias(model)
    bias = layer.bias if more is None else more[0] if layer.bias is None else layer.bias + more[0]
    return Head(layer.weight, bias, scale, softcap)


def answer(
    model: PreTrainedModel,
    inputs: Mapping[str, Tensor],
    positions: Tensor,
    request: Request = NOTHING_MORE,
    vocabulary: int | None = None,
) -> Outputs:
    """One pass through the body, gathered at the supervised positions before the head.

    The cache is always off: with it (the default of every config) and without an attention mask, the
    documents of a packed row attend to each other silently.

    Args:
        model: one that ``check_head`` has passed.
        inputs: ``input_ids`` (B, S) and what goes with them, or what else the model reads.
        positions: (N,) int64, ``b * S + s``; of the decoder where there is one.
        request: hidden layers, attentions and module outputs, which nobody pays for unasked. The last of
            ``layers`` is the state after the final norm (transformers gives it so).
        vocabulary: cut the head to the first ids, those that both sides share.

    Raises:
        BadInput: attentions were asked of a model that does not compute them, or drops some of them in training; or a
            module path is unknown.
    """
    if request.attentions and model.config._attn_implementation != "eager":
        raise BadInput(
            f"model {model.config.model_type}",
            "gives attentions only with eager attention",
            value=model.config._attn_implementation,
            remedy="set its attention: eager",
        )
    if request.attentions and model.training:
        _refuse_blurred(model.config)
    more = {"output_hidden_states": True} if request.layers else {}
    more |= {"output_attentions": True} if request.attentions else {}
    with _watched(model, request.modules) as modules:
        told, hidden = _read(model, {**inputs, **more}, positions)
    whole = head(model)
    return Outputs(
        hidden=hidden,
        head=whole if vocabulary is None else whole.cut(vocabulary),
        layers=tuple(_gathered(state, positions) for state in _of_decoder(told, "hidden_states"))
        if request.layers
        else (),
        attentions=tuple(_gathered(a.transpose(1, 2), positions) for a in _of_decoder(told, "attentions"))
        if request.attentions
        else (),
        modules=modules,
    )


def check_head(model: PreTrainedModel) -> None:
    """Refuse a model whose logits are more than its head applied to the state before it.

    On a small input, what ``answer`` would make of it is compared with the logits that the model's own ``forward``
    gives. Catches every scale, cap or projection that ``head`` does not know.

    Raises:
        BadInput: the two differ by more than rounding.
    """
    inputs, positions = probe(model)
    with torch.no_grad(), evaluating(model):
        outputs = answer(model, inputs, positions)
        if not outputs.head.vocabulary:
            return
        logits = model(**inputs, **_without_cache(model)).logits.float()  # (1, S, V), pooled (1, V)
        expected = logits.flatten(0, -2)[: len(positions)]
        found = outputs.head.logits(outputs.hidden).float()[: len(expected)]
    gap = (found - expected).abs().max().item()
    allowed = 1e-4 if model.dtype == torch.float32 else 5e-2
    if not gap <= allowed * max(1.0, expected.abs().max().item()):
        raise BadInput(
            f"model {model.config.model_type}",
            f"its logits are not its head applied to its last state (they differ by {gap:.2g})",
            remedy="this architecture does something to its logits that is not supported",
        )


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Evaluation mode for a while, no dropout; each module gets back its own mode, which ``train()`` would level."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode


def _read(model: PreTrainedModel, inputs: Mapping[str, Any], positions: Tensor) -> tuple[Any, Tensor]:
    """(what the model told, (N, D) the states that its head is given)."""
    layer, off = head_layer(model), _without_cache(model)
    if layer is None or stands_on_body(model):
        body = model if layer is None else model.base_model
        told = body(**inputs, **off)
        return told, _gathered(told.last_hidden_state, positions)
    with headless(layer) as seen:
        told = model(**inputs, **off)
    if told.logits.dim() == 2:  # pooled (B, D): a position says whose
        width = inputs["input_ids"].shape[1] if "input_ids" in inputs else 1
        return told, told.logits.index_select(0, positions // width)
    return told, _gathered(seen[-1], positions)


def _of_decoder(told: Any, name: str) -> tuple[Tensor, ...]:
    return told[f"decoder_{name}"] if f"decoder_{name}" in told else told[name]


def _without_cache(model: PreTrainedModel) -> dict[str, bool]:
    """Models without a cache do not know the word; those that hand it on to an inner model do not name it."""
    named = "use_cache" in inspect.signature(model.forward).parameters
    cached = named or stands_on_body(model) or named_family(model) in ("image_text", "speech")
    return {"use_cache": False} if cached else {}


def _unweighted(config: PreTrainedConfig, family: Family | None) -> PreTrainedModel:
    """A model without memory. ``from_config`` keeps the config it is given: hence the copy. Its attention is named,
    because a config.json may name one that would be fetched as code."""
    kind: Family = family_of(config) if family is None else family
    try:
        with torch.device("meta"):
            return AUTO[kind].from_config(copy.deepcopy(config), attn_implementation="eager", trust_remote_code=False)
    except (ValueError, TypeError, RuntimeError, AttributeError, KeyError) as problem:
        reason = str(problem).splitlines()[0] if str(problem) else type(problem).__name__
        named = "causal language model" if kind == "causal" else f"{kind} model"
        raise BadInput(f"config of {config.model_type}", f"makes no {named} ({reason})") from problem


def _token_embedding(model: PreTrainedModel) -> Tensor | None:
    """(V, D) of a model that reads tokens; None of one that reads something else."""
    try:
        layer = model.get_input_embeddings()
    except (NotImplementedError, AttributeError):
        return None
    return layer.weight if isinstance(layer, nn.Embedding) else None


def _tricks(config: PreTrainedConfig) -> tuple[float, float | None]:
    """(scale, soft cap) by the names in transformers' configs; ``check_head`` finds what is missing here."""
    told = config.to_dict()
    scale = 1.0
    scale *= told.get("logit_scale") or 1.0  # Cohere
    scale /= told.get("logits_scaling") or 1.0  # Granite divides
    scale *= told.get("lm_head_multiplier") or 1.0  # Falcon-H1
    return scale, told.get("final_logit_softcapping") or None  # Gemma 2


def _gathered(states: Tensor, positions: Tensor) -> Tensor:
    """(B, S, …) -> (N, …)."""
    return states.flatten(0, 1).index_select(0, positions)


def _refuse_blurred(config: PreTrainedConfig) -> None:
    """transformers hands out attention weights after their dropout: with holes, and the rest too large."""
    told = config.to_dict()
    for name in ("attention_dropout", "attn_pdrop", "attention_probs_dropout_prob"):
        if told.get(name):
            raise BadInput(
                f"model {config.model_type}",
                "its attention weights are told with dropout on them, which is not where it looks",
                value=f"{name}={told[name]}",
                remedy="train it without attention dropout (student.dropout=0), or compare relations instead",
            )


@contextmanager
def _watched(model: PreTrainedModel, paths: tuple[str, ...]) -> Iterator[dict[str, Tensor]]:
    """Collect the outputs of modules named by path, such as ``model.layers.3.mlp``."""
    seen: dict[str, Tensor] = {}
    handles = []
    try:
        for path in paths:
            handles.append(_module(model, path).register_forward_hook(_keeper(seen, path)))
        yield seen
    finally:
        for handle in handles:
            handle.remove()


def _keeper(seen: dict[str, Tensor], path: str):
    def keep(_module: nn.Module, _args: object, output: Tensor | tuple[Tensor, ...]) -> None:
        seen[path] = output[0] if isinstance(output, tuple) else output

    return keep


def _module(model: PreTrainedModel, path: str) -> nn.Module:
    try:
        return model.get_submodule(path)
    except AttributeError:
        first = ", ".join(name for name, _ in list(model.named_modules())[1:6])
        raise BadInput(
            f"model {model.config.model_type}",
            "has no such module",
            value=path,
            remedy=f"its modules begin with {first}",
        ) from None

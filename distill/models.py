"""What the house asks of a transformers model: its sizes, its head, and its answer at supervised positions.

A model answers with the state before the head and with the head itself, never with logits: ``[N, V]`` is made
chunk by chunk where a loss or a measure needs it. Loading is in ``folders.py``.

Left out on purpose: models that are no decoder with a linear head (``check_head`` refuses them), and calling
the model through its own ``forward``, which would compute logits at every position.
"""

import copy
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from transformers import AutoModelForCausalLM, PreTrainedConfig, PreTrainedModel

from distill.errors import BadInput
from distill.types import Head, ModelShape, Outputs, Request

NOTHING_MORE = Request()


def shape(model: PreTrainedModel | PreTrainedConfig) -> ModelShape:
    """The sizes of a model; of a config without making a weight (on the meta device).

    Raises:
        BadInput: the config is not that of a causal language model, or its values contradict each other.
    """
    built = _unweighted(model) if isinstance(model, PreTrainedConfig) else model
    config = built.config.get_text_config(decoder=True)
    embedding, output = token_embedding(built), built.get_output_embeddings()
    return ModelShape(
        layers=config.num_hidden_layers,
        width=config.hidden_size,
        heads=config.num_attention_heads,
        vocabulary=embedding.shape[0],
        parameters=sum(parameter.numel() for parameter in built.parameters()),
        embedding_parameters=embedding.numel(),
        tied=isinstance(output, nn.Linear) and output.weight is embedding,
    )


def token_embedding(model: PreTrainedModel) -> Tensor:
    """(V, D) the weights of the input embedding."""
    weight = model.get_input_embeddings().weight
    assert isinstance(weight, Tensor)
    return weight


def head(model: PreTrainedModel) -> Head:
    """The linear head and what the architecture does to its product.

    The weights are the model's own, not copies: a gradient reaches them, tied or not.

    Raises:
        BadInput: the model has no linear head.
    """
    layer = model.get_output_embeddings()
    if not isinstance(layer, nn.Linear):
        raise BadInput(
            f"model {model.config.model_type}",
            "has no linear head over a vocabulary",
            remedy="use a causal language model",
        )
    scale, softcap = _tricks(model.config.get_text_config(decoder=True))
    return Head(layer.weight, layer.bias, scale, softcap)


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
        model: a causal language model that ``check_head`` has passed.
        inputs: ``input_ids`` (B, S) and what goes with them.
        positions: (N,) int64, ``b * S + s``.
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
        told = model.base_model(**inputs, use_cache=False, **more)
    whole = head(model)
    return Outputs(
        hidden=_gathered(told.last_hidden_state, positions),
        head=whole if vocabulary is None else whole.cut(vocabulary),
        layers=tuple(_gathered(state, positions) for state in told.hidden_states) if request.layers else (),
        attentions=tuple(_gathered(a.transpose(1, 2), positions) for a in told.attentions)
        if request.attentions
        else (),
        modules=modules,
    )


def check_head(model: PreTrainedModel) -> None:
    """Refuse a model whose logits are more than its head applied to its body's last state.

    On eight tokens, what ``answer`` would make of them is compared with the logits that the model's own ``forward``
    gives. Catches every scale, cap or projection that ``head`` does not know.

    Raises:
        BadInput: the two differ by more than rounding.
    """
    positions = torch.arange(8, device=model.device)
    probe = (positions * 7919 + 1)[None] % token_embedding(model).shape[0]  # (1, 8) far apart, without chance
    with torch.no_grad(), evaluating(model):
        expected = model(input_ids=probe, use_cache=False).logits[0].float()  # (8, V)
        outputs = answer(model, {"input_ids": probe}, positions)
        found = outputs.head.logits(outputs.hidden).float()  # (8, V)
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


def _unweighted(config: PreTrainedConfig) -> PreTrainedModel:
    """A model without memory. ``from_config`` keeps the config it is given: hence the copy. Its attention is named,
    because a config.json may name one that would be fetched as code."""
    try:
        with torch.device("meta"):
            return AutoModelForCausalLM.from_config(
                copy.deepcopy(config), attn_implementation="eager", trust_remote_code=False
            )
    except (ValueError, TypeError, RuntimeError, AttributeError, KeyError) as problem:
        reason = str(problem).splitlines()[0] if str(problem) else type(problem).__name__
        raise BadInput(f"config of {config.model_type}", f"makes no causal language model ({reason})") from problem


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

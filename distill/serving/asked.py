"""What a client asks, read from JSON and checked: a request that this server would half obey is refused whole.

Known keys that are not served (``top_p``, ``n``, ``stop``, …) may be given with the value that changes nothing; with
any other, and for unknown keys, the answer is 400. A server that silently ignores ``logprobs`` teaches nonsense.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from distill.serving.refusal import Refusal

COMPLETION = {"model", "prompt", "max_tokens", "temperature", "seed", "logprobs", "prompt_logprobs"}
COMPLETION |= {"return_tokens_as_token_ids", "stream", "add_special_tokens"}
CHAT = {"model", "messages", "max_tokens", "max_completion_tokens", "temperature", "seed", "stream"}
CHAT |= {"logprobs"}
UNSERVED: dict[str, tuple[object, ...]] = {
    "top_p": (1, 1.0),
    "top_k": (-1, 0),
    "min_p": (0, 0.0),
    "n": (1,),
    "best_of": (1,),
    "echo": (False,),
    "stop": ([],),
    "suffix": ("",),
    "presence_penalty": (0, 0.0),
    "frequency_penalty": (0, 0.0),
    "repetition_penalty": (1, 1.0),
    "logit_bias": ({},),
    "logprobs": (False,),
    "top_logprobs": (0,),
    "tools": ([],),
    "response_format": ({"type": "text"},),
}
IGNORED = {"user", "stream_options"}
"""Keys that change no answer."""


@dataclass(frozen=True)
class Sampling:
    """How an answer is written.

    Attributes:
        length: tokens at most.
        temperature: 0 takes the likeliest.
        seed: of the draws; None for one that nobody can foresee.
    """

    length: int
    temperature: float
    seed: int | None


@dataclass(frozen=True)
class Completion:
    """A checked request for completions.

    Attributes:
        prompts: texts, or token ids.
        sampling: of the continuation.
        logprobs: alternatives told of each new token, or None.
        prompt_logprobs: alternatives told of each token of the prompt, -1 for all, or None.
        as_ids: tokens are named ``token_id:N``: two tokens may be spelt alike.
        special: a text is tokenised with its beginning mark.
        stream: the answer comes piece by piece.
    """

    prompts: tuple[str | tuple[int, ...], ...]
    sampling: Sampling
    logprobs: int | None
    prompt_logprobs: int | None
    as_ids: bool
    special: bool
    stream: bool


@dataclass(frozen=True)
class Conversation:
    """A checked request for the next message; ``logprobs``: of each new token."""

    messages: tuple[dict[str, str], ...]
    sampling: Sampling
    stream: bool
    logprobs: bool = False


def completion(body: Mapping[str, Any], cap: int) -> Completion:
    """Read a body of ``/v1/completions``.

    Args:
        cap: the most alternatives that are told; -1 for all.

    Raises:
        Refusal: 400.
    """
    _refuse_unknown(body, COMPLETION)
    stream, wanted = _flag(body, "stream"), _count(body, "prompt_logprobs", cap, low=-1)
    if stream and wanted is not None:
        raise Refusal(400, "`prompt_logprobs` are not available when `stream=True`.")
    return Completion(
        prompts=_prompts(body.get("prompt")),
        sampling=_sampling(body, "max_tokens"),
        logprobs=_count(body, "logprobs", cap, low=0),
        prompt_logprobs=wanted,
        as_ids=_flag(body, "return_tokens_as_token_ids"),
        special=_flag(body, "add_special_tokens", True),
        stream=stream,
    )


def conversation(body: Mapping[str, Any]) -> Conversation:
    """Read a body of ``/v1/chat/completions``.

    Raises:
        Refusal: 400.
    """
    _refuse_unknown(body, CHAT)
    told = body.get("messages")
    if not isinstance(told, list) or not told:
        raise Refusal(400, "messages: expected a list of at least one {role, content}")
    for one in told:
        plain = isinstance(one, dict) and set(one) == {"role", "content"}
        if not plain or not all(isinstance(value, str) for value in one.values()):
            raise Refusal(400, "messages: expected objects of a text `role` and a text `content` alone")
    name = "max_completion_tokens" if body.get("max_completion_tokens") is not None else "max_tokens"
    stream, wanted = _flag(body, "stream"), _flag(body, "logprobs")
    if stream and wanted:
        raise Refusal(400, "`logprobs` are not available when `stream=True`.")
    return Conversation(tuple(told), _sampling(body, name), stream, wanted)


def _refuse_unknown(body: Mapping[str, Any], known: set[str]) -> None:
    for key, value in body.items():
        if key in known or key in IGNORED or value is None:
            continue
        if key not in UNSERVED:
            raise Refusal(400, f"{key}: no such key is served here")
        if value not in UNSERVED[key] or isinstance(value, bool) != isinstance(UNSERVED[key][0], bool):
            raise Refusal(400, f"{key}: only {UNSERVED[key][0]!r} is served here")


def _prompts(given: object) -> tuple[str | tuple[int, ...], ...]:
    if isinstance(given, str):
        return (given,)
    if isinstance(given, list) and given and all(_is_whole(one) for one in given):
        return (tuple(given),)
    if isinstance(given, list) and given and all(isinstance(one, str) for one in given):
        return tuple(given)
    several = isinstance(given, list) and given and all(isinstance(one, list) and one for one in given)
    if isinstance(given, list) and several and all(_is_whole(token) for one in given for token in one):
        return tuple(tuple(one) for one in given)
    raise Refusal(400, "prompt: expected a text, a list of texts, a list of token ids, or a list of such lists")


def _sampling(body: Mapping[str, Any], length: str) -> Sampling:
    tokens = body.get(length)
    tokens = 16 if tokens is None else tokens
    if not _is_whole(tokens) or tokens < 1:
        raise Refusal(400, f"{length} must be at least 1, got {tokens!r}.")
    temperature = body.get("temperature")
    temperature = 1.0 if temperature is None else temperature
    if isinstance(temperature, bool) or not isinstance(temperature, (int, float)) or not 0 <= temperature <= 100:
        raise Refusal(400, f"temperature must be non-negative, got {temperature!r}.")
    seed = body.get("seed")
    if seed is not None and (not _is_whole(seed) or seed < 0):
        raise Refusal(400, f"seed must be a whole number from 0 on, got {seed!r}.")
    return Sampling(tokens, float(temperature), seed)


def _count(body: Mapping[str, Any], key: str, cap: int, low: int) -> int | None:
    wanted = body.get(key)
    if wanted is None:
        return None
    if not _is_whole(wanted) or wanted < low:
        raise Refusal(400, f"`{key}` must be a whole number from {low} on, got {wanted!r}.")
    if cap >= 0 and (wanted > cap or wanted < 0):
        raise Refusal(400, f"Requested {key} of {wanted}, which is greater than max allowed: {cap}")
    return wanted


def _flag(body: Mapping[str, Any], key: str, default: bool = False) -> bool:
    value = body.get(key)
    if value is None:
        return default
    if not isinstance(value, bool):
        raise Refusal(400, f"{key} must be true or false, got {value!r}.")
    return value


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)

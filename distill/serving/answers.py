"""Answers in the shape of vLLM's (0.32): names, nesting and what is null, so that its clients read them."""

import time
import uuid
from collections.abc import Iterator, Sequence
from typing import Any

from distill.serving.asked import Completion, Conversation
from distill.serving.engine import Alternatives, Engine

LEAST = -9999.0
"""JSON has no −∞; vLLM writes this."""


def models(engine: Engine) -> dict[str, Any]:
    """``GET /v1/models``."""
    one = {"id": engine.name, "object": "model", "created": int(time.time()), "owned_by": "distill"}
    return {"object": "list", "data": [{**one, "root": engine.name, "parent": None, "max_model_len": engine.limit}]}


def tokens(engine: Engine, ids: Sequence[int]) -> dict[str, Any]:
    """``POST /tokenize``."""
    return {"count": len(ids), "max_model_len": engine.limit, "tokens": list(ids), "token_strs": None}


def completed(engine: Engine, asked: Completion, prompts: Sequence[Sequence[int]]) -> dict[str, Any]:
    """``POST /v1/completions``, whole."""
    choices, written = [], 0
    for index, ids in enumerate(prompts):
        heard = None if asked.prompt_logprobs is None else engine.heard(ids, asked.prompt_logprobs)
        said = list(engine.spoken(ids, asked.sampling, asked.logprobs or 0))
        written += len(said)
        choices.append(_choice(engine, asked, index, heard, said))
    read = sum(map(len, prompts))
    usage = {"prompt_tokens": read, "total_tokens": read + written, "completion_tokens": written}
    return {**_head("cmpl", "text_completion", engine.name), "choices": choices, "usage": usage}


def _choice(
    engine: Engine, asked: Completion, index: int, heard: list[Alternatives | None] | None, said: list[Alternatives]
) -> dict[str, Any]:
    return {
        "index": index,
        "text": engine.whole(said),
        "logprobs": None if asked.logprobs is None else _logprobs(engine, said, asked.as_ids),
        "finish_reason": _end(engine, said),
        "stop_reason": None,
        "prompt_logprobs": None if heard is None else [_prompt_entry(engine, one) for one in heard],
    }


def streamed(engine: Engine, asked: Completion, ids: Sequence[int]) -> Iterator[dict[str, Any]]:
    """``POST /v1/completions`` piece by piece."""
    head = _head("cmpl", "text_completion", engine.name)
    said: list[Alternatives] = []
    for text in engine.pieces(_noted(engine.spoken(ids, asked.sampling), said)):
        yield {**head, "choices": [{"index": 0, "text": text, "logprobs": None, "finish_reason": None}]}
    yield {**head, "choices": [{"index": 0, "text": "", "logprobs": None, "finish_reason": _end(engine, said)}]}


def answered(engine: Engine, asked: Conversation, ids: Sequence[int]) -> dict[str, Any]:
    """``POST /v1/chat/completions``, whole."""
    said = list(engine.spoken(ids, asked.sampling))
    message = {"role": "assistant", "content": engine.whole(said)}
    told = {"content": [_of_message(engine, one) for one in said]} if asked.logprobs else None
    choice = {"index": 0, "message": message, "logprobs": told, "finish_reason": _end(engine, said)}
    usage = {"prompt_tokens": len(ids), "total_tokens": len(ids) + len(said), "completion_tokens": len(said)}
    return {**_head("chatcmpl", "chat.completion", engine.name), "choices": [choice], "usage": usage}


def _of_message(engine: Engine, one: Alternatives) -> dict[str, Any]:
    """A token of a message, in the chat endpoint's own shape."""
    text = engine.text([one.token])
    return {"token": text, "logprob": _finite(one.logprob), "bytes": list(text.encode()), "top_logprobs": []}


def answering(engine: Engine, asked: Conversation, ids: Sequence[int]) -> Iterator[dict[str, Any]]:
    """``POST /v1/chat/completions`` piece by piece."""
    head = _head("chatcmpl", "chat.completion.chunk", engine.name)
    yield {**head, "choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}]}
    said: list[Alternatives] = []
    for text in engine.pieces(_noted(engine.spoken(ids, asked.sampling), said)):
        yield {**head, "choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}]}
    yield {**head, "choices": [{"index": 0, "delta": {}, "finish_reason": _end(engine, said)}]}


def _noted(said: Iterator[Alternatives], into: list[Alternatives]) -> Iterator[Alternatives]:
    for one in said:
        into.append(one)
        yield one


def _end(engine: Engine, said: Sequence[Alternatives]) -> str:
    """Whether the model came to its end or to the request's."""
    return "stop" if said and said[-1].token == engine.tokenizer.eos_token_id else "length"


def _head(kind: str, what: str, model: str) -> dict[str, Any]:
    return {"id": f"{kind}-{uuid.uuid4().hex}", "object": what, "created": int(time.time()), "model": model}


def _prompt_entry(engine: Engine, one: Alternatives | None) -> dict[str, dict[str, Any]] | None:
    """Keyed by id; k entries, or k + 1 where the token that was there is not among them."""
    if one is None:
        return None
    told = {token: (logprob, rank) for rank, (token, logprob) in enumerate(one.top, start=1)}
    told.setdefault(one.token, (one.logprob, one.rank))
    return {
        str(token): {"logprob": _finite(logprob), "rank": rank, "decoded_token": engine.text([token])}
        for token, (logprob, rank) in told.items()
    }


def _logprobs(engine: Engine, said: list[Alternatives], as_ids: bool) -> dict[str, Any]:
    """Of new tokens. Keyed by text, tokens that are spelt alike fall together; by id none do."""

    def named(token: int) -> str:
        return f"token_id:{token}" if as_ids else engine.text([token])

    offsets, place = [], 0
    for one in said:
        offsets.append(place)
        place += len(engine.text([one.token]))
    return {
        "text_offset": offsets,
        "token_logprobs": [_finite(one.logprob) for one in said],
        "tokens": [named(one.token) for one in said],
        "top_logprobs": [
            {named(token): _finite(logprob) for token, logprob in (*one.top, (one.token, one.logprob))} for one in said
        ],
    }


def _finite(logprob: float) -> float:
    return max(logprob, LEAST)

"""llama.cpp as its wheel ``xllamacpp`` brings it: the runtime that a GGUF is made for, asked in this process.

It is asked what follows texts that are given as ids, with its probabilities of all tokens: its arithmetic is not that
of the reader that the other numbers come from (it rounds what a matrix is multiplied with). How fast it was it says
itself.

Left out on purpose: every position of a text. Its server tells of the next token only, so this is one number a text.
Its listener is bound to 127.0.0.1 and ends with the object.
"""

from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch import Tensor

from distill.divergences.kl import forward_kl
from distill.errors import BadInput
from distill.evaluation.bootstrap import SampleMean
from distill.evaluation.measure import Measured

WRITTEN, ROUNDS, CONTEXT = 32, 5, 2048
AGREEMENT, KL = "top1_agreement_in_llama_cpp", "kl_in_llama_cpp"


def installed() -> bool:
    """Whether the wheel is there."""
    return find_spec("xllamacpp") is not None


def asked(
    file: Path, prompts: Sequence[Sequence[int]], expected: Sequence[Tensor], threads: int, rounds: int = ROUNDS
) -> list[Measured]:
    """Agreement with the expected next tokens, divergence from them, and speeds.

    Args:
        file: a GGUF.
        prompts: ids that texts begin with.
        expected: (V,) the student's log-probabilities of what follows each; of the first prompts, where it is shorter.
        threads: that llama.cpp computes with.
        rounds: of the speeds.

    Raises:
        BadInput: llama.cpp cannot load the file.
    """
    server = _server(file, threads)
    same, apart, prefill, decode = SampleMean(), SampleMean(), [], []
    for number, (prompt, log_p) in enumerate(zip(prompts, expected, strict=False)):
        log_q = _next(server, prompt, log_p.numel())
        owner = torch.tensor([number])
        same.add((log_q.argmax() == log_p.argmax())[None], owner)
        apart.add(forward_kl(log_p[None], log_q[None]), owner)
    longest = max(prompts, key=len)
    for _ in range(rounds):
        times = _told(server, longest, WRITTEN)["timings"]
        prefill.append(times["prompt_per_second"])
        decode.append(times["predicted_per_second"])
    return [
        Measured(AGREEMENT, same.value, "fraction", same.n, *same.interval()),
        Measured(KL, apart.value, "nats/token", apart.n, *apart.interval()),
        Measured("prefill_tokens_per_second", median(prefill), "tokens/s", rounds),
        Measured("decode_tokens_per_second", median(decode), "tokens/s", rounds),
        Measured("threads", threads, "count"),
    ]


def _next(server: Any, prompt: Sequence[int], vocabulary: int) -> Tensor:
    """(V,) its log-probabilities of the next token."""
    (told,) = _told(server, prompt, 1, vocabulary)["choices"][0]["logprobs"]["content"]
    found = torch.full((vocabulary,), -torch.inf)
    for one in told["top_logprobs"]:
        found[one["id"]] = one["logprob"]
    return found.log_softmax(-1)


def _server(file: Path, threads: int) -> Any:
    xllamacpp = import_module("xllamacpp")  # its names are made when it is loaded; no checker sees them
    told = xllamacpp.CommonParams()
    told.model.path = str(file)
    told.n_ctx, told.n_parallel = CONTEXT, 1
    told.cpuparams.n_threads = told.cpuparams_batch.n_threads = threads
    told.verbosity, told.warmup, told.fit_params = 0, False, False
    try:
        return xllamacpp.Server(told)
    except Exception as problem:  # whatever the binding raises, the file is what it could not load
        raise BadInput(str(file), f"llama.cpp cannot load it ({problem})") from problem


def _told(server: Any, prompt: Sequence[int], count: int, told: int = 0) -> Any:
    wanted = {"prompt": list(prompt), "n_predict": count, "temperature": 0, "cache_prompt": False}
    wanted |= {"n_probs": told} if told else {"ignore_eos": True}
    found = server.handle_completions(wanted)
    if "choices" not in found:
        raise BadInput("llama.cpp", "does not answer", value=str(found))
    return found

"""llama.cpp as its wheel ``xllamacpp`` brings it: the runtime that a GGUF is made for, asked in this process.

It is asked what follows texts that are given as ids, with its probabilities of all tokens: its arithmetic is not that
of the reader that the other numbers come from (it rounds what a matrix is multiplied with).

Its server tells of the next token only, so a text is read token by token where every position is wanted. Its listener
is bound to 127.0.0.1 and ends with the object.
"""

import time
from collections.abc import Mapping, Sequence
from functools import cached_property
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from distill.divergences.kl import forward_kl
from distill.errors import BadInput
from distill.evaluation.bootstrap import SampleMean
from distill.evaluation.measure import Measured
from distill.evaluation.timed import Timed
from distill.export.runner import NOTHING, Runner

CONTEXT = 2048
"""Tokens of a text at most; its cache is that long, whatever is read."""
AGREEMENT, KL = "top1_agreement_in_llama_cpp", "kl_in_llama_cpp"


def installed() -> bool:
    """Whether the wheel is there."""
    return find_spec("xllamacpp") is not None


class LlamaCppRunner(Runner):
    """A GGUF in llama.cpp, loaded at the first question. Its logits are log-probabilities: softmax sees no difference.

    Args:
        file: a GGUF.
        vocabulary: its ids that mean something.
        threads: that llama.cpp computes with.

    Raises:
        BadInput: llama.cpp cannot load the file.
    """

    def __init__(self, file: Path, vocabulary: int, threads: int = 1) -> None:
        self.file, self.threads = file, threads
        self.vocabulary, self.positions = vocabulary, CONTEXT
        self.restart()

    @cached_property
    def server(self) -> Any:
        return _server(self.file, self.threads)

    def restart(self) -> None:
        self.ids: list[int] = []

    def read(self, ids: Sequence[int], last: bool = False) -> np.ndarray:
        if not last:
            return np.concatenate([self.read([one], last=True) for one in ids])
        self.ids += ids
        return _next(self.server, self.ids, self.vocabulary, cached=True).numpy()[None]

    def taken(self, ids: Sequence[int], new: int, heard: Mapping[str, np.ndarray] = NOTHING) -> Timed:
        """One request for all of it. The time of further tokens is llama.cpp's own, and told as their mean."""
        server, begin = self.server, time.perf_counter()
        told = _told(server, ids, new + 1)["timings"]
        whole, written = time.perf_counter() - begin, told["predicted_ms"] / 1e3
        return Timed(whole - written, [written / new] * new)


def asked(file: Path, prompts: Sequence[Sequence[int]], expected: Sequence[Tensor], threads: int) -> list[Measured]:
    """Agreement with the expected next tokens, and divergence from them.

    Args:
        file: a GGUF.
        prompts: ids that texts begin with.
        expected: (V,) the student's log-probabilities of what follows each; of the first prompts, where it is shorter.
        threads: that llama.cpp computes with.

    Raises:
        BadInput: llama.cpp cannot load the file.
    """
    server = _server(file, threads)
    same, apart = SampleMean(), SampleMean()
    for number, (prompt, log_p) in enumerate(zip(prompts, expected, strict=False)):
        log_q = _next(server, prompt, log_p.numel())
        owner = torch.tensor([number])
        same.add((log_q.argmax() == log_p.argmax())[None], owner)
        apart.add(forward_kl(log_p[None], log_q[None]), owner)
    return [
        Measured(AGREEMENT, same.value, "fraction", same.n, *same.interval()),
        Measured(KL, apart.value, "nats/token", apart.n, *apart.interval()),
    ]


def _next(server: Any, prompt: Sequence[int], vocabulary: int, cached: bool = False) -> Tensor:
    """(V,) its log-probabilities of the next token."""
    (told,) = _told(server, prompt, 1, vocabulary, cached)["choices"][0]["logprobs"]["content"]
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


def _told(server: Any, prompt: Sequence[int], count: int, told: int = 0, cached: bool = False) -> Any:
    wanted = {"prompt": list(prompt), "n_predict": count, "temperature": 0, "cache_prompt": cached}
    wanted |= {"n_probs": told} if told else {"ignore_eos": True}
    found = server.handle_completions(wanted)
    if "choices" not in found:
        raise BadInput("llama.cpp", "does not answer", value=str(found))
    return found

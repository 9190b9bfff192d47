"""The contract with a real vLLM: it says of a prompt what the same weights say here.

vLLM pins other versions of torch and transformers than this project, so it lives in an environment of its own:
``DISTILL_VLLM_PYTHON`` names that environment's python.
"""

import os
import socket
import subprocess
import time

import pytest
import torch

from distill.errors import ResourceStop
from distill.signals.topk import TopK
from distill.teachers.live import Live
from distill.teachers.server import Server
from distill.types import Request
from tests.training.conftest import batch

PYTHON = os.environ.get("DISTILL_VLLM_PYTHON")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(PYTHON is None, reason="DISTILL_VLLM_PYTHON names no python that has vLLM"),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory, tiny_llama, tokenizer) -> str:
    path = tmp_path_factory.mktemp("served")
    tiny_llama(vocabulary=512, width=64).save_pretrained(path)
    tokenizer.save_pretrained(path)
    return str(path)


@pytest.fixture(scope="module")
def url(folder):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = ["--model", folder, "--host", "127.0.0.1", "--port", str(port), "--dtype", "float32", "--enforce-eager"]
    assert PYTHON is not None
    process = subprocess.Popen([PYTHON, "-m", "vllm.entrypoints.openai.api_server", *words, "--max-model-len", "128"])
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(60)


def test_it_says_what_the_same_weights_say_here(url, folder, tokenizer):
    server = Server(url, model=folder, k=8, retries=0)
    server.read_with(tokenizer)
    for _ in range(300):
        try:
            server.ready()
            break
        except ResourceStop:
            time.sleep(1)
    given = batch(3)
    rows = slice(0, given.tokens)
    (logits,) = Live(folder).teach(given, Request()).chunk(rows)
    ids, log_p = server.teach(given, Request()).chunk(rows)
    expected = TopK.of(logits, 8, 1.0)
    assert torch.equal(ids, expected.ids)
    torch.testing.assert_close(log_p, expected.chunk(rows)[1], atol=1e-3, rtol=0)

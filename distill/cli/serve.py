"""Serve a model on this machine, as vLLM would: distill serve TARGET.

TARGET is a run folder, an exported folder (ONNX, GGUF, Hugging Face), a model's folder or a hub id. It answers on
127.0.0.1 alone: /v1/completions (prompts as text or token ids; logprobs, prompt_logprobs, return_tokens_as_token_ids),
/v1/chat/completions, both also as a stream, /v1/models, /tokenize, /health. teacher=server learns from it; so does
whatever speaks to an OpenAI-compatible server. Ctrl-C ends it.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from distill.cli.arguments import Arguments
from distill.cli.settings import Paths
from distill.cli.target import Target
from distill.errors import BadInput, ResourceStop
from distill.ranges import Natural

if TYPE_CHECKING:
    from distill.serving.server import Server


@dataclass(frozen=True)
class Settings:
    """The keys of ``conf/serve.yaml``. Read as text, never made: the config is bound to these annotations."""

    port: Natural
    model: str | None
    max_logprobs: int
    subject: str
    name: str
    wheel: str | None
    paths: Paths


def run(arguments: Arguments) -> int:
    """``distill serve TARGET``."""
    if len(arguments.words) != 1 or arguments.multirun:
        told = " ".join(arguments.words) or "nothing"
        reason = "serve takes one run folder, exported folder, model folder or hub id, without -m"
        raise BadInput("command line", reason, value=told)
    if arguments.dry_run:
        from distill.cli.chat import foretold

        return foretold(arguments)
    server = opened(arguments)
    print(f"{server.engine.name} on {server.url}, {_told(server.engine.cap)} a token; Ctrl-C ends it", flush=True)
    try:
        server.serve_forever(poll_interval=0.1)
    finally:
        server.server_close()
    return 0


def opened(arguments: Arguments) -> "Server":
    """The server of a command line, listening and not yet answering.

    Raises:
        BadInput: there is no such model, or it cannot be used.
        ResourceStop: the port is taken.
    """
    from distill.cli.chat import speaking
    from distill.cli.quiet import quieten
    from distill.serving.engine import Engine
    from distill.serving.server import Server

    quieten()
    target, speaker = speaking(arguments)
    if target.config["port"] > 65535 or target.config["max_logprobs"] < -1:
        reason = "expected a port up to 65535, and alternatives from -1 (all) on"
        raise BadInput("port, max_logprobs", reason)
    name = target.config["model"] or _name(speaker.name, Path(arguments.words[0]).expanduser(), target)
    engine = Engine(name, speaker.runner, speaker.tokenizer, target.config["max_logprobs"])
    try:
        return Server(engine, target.config["port"])
    except OSError as problem:
        reason = f"cannot listen on 127.0.0.1 ({problem.strerror})"
        raise ResourceStop("port", reason, value=target.config["port"], remedy="choose another, or port=0") from problem


def _name(subject: str, place: Path, target: Target) -> str:
    """What clients call it. Of a folder the name holds a hash of its files: who keeps a model's word by its name must
    not take another one's for it."""
    if not place.is_dir():
        return target.word
    folder = Path(target.models[subject]) if subject in target.models else place
    files: list[Any] = [
        (one.name, one.stat().st_size, _digest(one)) for one in sorted(folder.glob("*")) if one.is_file()
    ]
    return f"{subject}-{hashlib.sha256(repr(files).encode()).hexdigest()[:12]}"


def _digest(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _told(cap: int) -> str:
    return "any number of log-probabilities" if cap < 0 else f"at most {cap} log-probabilities"

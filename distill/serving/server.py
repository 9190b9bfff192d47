"""HTTP around an engine, on 127.0.0.1 and nowhere else.

A page in a browser may send requests to this machine too. It is kept out three ways: the name in ``Host`` must be this
machine's (a name that was rebound to 127.0.0.1 is a stranger's), a body must be declared JSON (which a foreign page may
not send without asking first), and no answer allows another origin to read it.

Left out on purpose: TLS, keys, other addresses. Put a real server in front, or run vLLM.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

from distill.serving import answers, asked
from distill.serving.engine import Engine
from distill.serving.refusal import Refusal

ADDRESS = "127.0.0.1"
NAMES = ("127.0.0.1", "localhost", "[::1]")
LARGEST = 32 << 20
"""Bytes of a body."""
PATIENCE = 60.0
"""Seconds that a client may be silent in the middle of a request."""


class Server(ThreadingHTTPServer):
    """A thread for every client, one model behind them.

    Args:
        engine: what answers.
        port: 0 takes a free one.
    """

    daemon_threads = True

    def __init__(self, engine: Engine, port: int = 0) -> None:
        self.engine = engine
        super().__init__((ADDRESS, port), _Handler)

    @property
    def url(self) -> str:
        return f"http://{ADDRESS}:{self.server_address[1]}"

    @contextmanager
    def running(self) -> Iterator[str]:
        """Within, requests are answered; its url."""
        thread = Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield self.url
        finally:
            self.shutdown()
            thread.join()
            self.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = PATIENCE
    server: Server  # pyright: ignore[reportIncompatibleVariableOverride]  (of any server)

    def do_GET(self) -> None:
        known: dict[str, Callable[[], dict[str, Any]]] = {
            "/v1/models": lambda: answers.models(self.server.engine),
            "/health": dict,
        }
        self._answer(lambda: self._found(known)())

    def do_POST(self) -> None:
        known: dict[str, Callable[[Mapping[str, Any]], dict[str, Any] | Iterator[dict[str, Any]]]] = {
            "/v1/completions": self._completion,
            "/v1/chat/completions": self._conversation,
            "/tokenize": self._tokenize,
        }
        self._answer(lambda: self._found(known)(self._body()))

    # --------------------------------------------------------------------------------------------------- what is asked

    def _completion(self, body: Mapping[str, Any]) -> dict[str, Any] | Iterator[dict[str, Any]]:
        engine = self.server.engine
        self._check_model(body)
        wanted = asked.completion(body, engine.cap)
        prompts = [engine.ids(one, wanted.special) if isinstance(one, str) else list(one) for one in wanted.prompts]
        for ids in prompts:
            engine.check(ids, wanted.sampling.length)
        if not wanted.stream:
            return answers.completed(engine, wanted, prompts)
        if len(prompts) > 1:
            raise Refusal(400, "stream: one prompt at a time is streamed")
        return answers.streamed(engine, wanted, prompts[0])

    def _conversation(self, body: Mapping[str, Any]) -> dict[str, Any] | Iterator[dict[str, Any]]:
        engine = self.server.engine
        self._check_model(body)
        wanted = asked.conversation(body)
        ids = engine.conversation(wanted.messages)
        engine.check(ids, wanted.sampling.length)
        return (answers.answering if wanted.stream else answers.answered)(engine, wanted, ids)

    def _tokenize(self, body: Mapping[str, Any]) -> dict[str, Any]:
        text, special = body.get("prompt"), body.get("add_special_tokens", True)
        if not isinstance(text, str) or not isinstance(special, bool):
            raise Refusal(400, "tokenize takes a text `prompt`, and `add_special_tokens` true or false")
        return answers.tokens(self.server.engine, self.server.engine.ids(text, special))

    def _check_model(self, body: Mapping[str, Any]) -> None:
        name = body.get("model")
        if name is not None and name != self.server.engine.name:
            raise Refusal(404, f"The model `{name}` does not exist; this is `{self.server.engine.name}`.")

    # ------------------------------------------------------------------------------------------------------------ HTTP

    def _found(self, known: Mapping[str, Callable[..., Any]]) -> Callable[..., Any]:
        path = self.path.partition("?")[0]
        if path not in known:
            raise Refusal(404, f"no such path; there are {', '.join(known)}")
        return known[path]

    def _body(self) -> Mapping[str, Any]:
        if self.headers.get("Content-Type", "").partition(";")[0].strip() != "application/json":
            raise Refusal(400, "Content-Type: expected application/json")
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal():
            raise Refusal(400, "Content-Length: is missing")
        if int(length) > LARGEST:
            raise Refusal(413, f"the body has more than {LARGEST:,} bytes")
        try:
            told = json.loads(self.rfile.read(int(length)))
        except (ValueError, RecursionError):
            raise Refusal(400, "the body is no JSON") from None
        if not isinstance(told, dict):
            raise Refusal(400, "the body is no JSON object")
        return told

    def _answer(self, made: Callable[[], dict[str, Any] | Iterator[dict[str, Any]]]) -> None:
        try:
            self._refuse_strangers()
            answer = made()
        except Refusal as refusal:
            self.close_connection = True  # its body may lie unread in the line
            self._send(refusal.status, refusal.body())
            return
        except Exception as problem:  # one request's misfortune is not the next one's
            self.close_connection = True
            self._send(500, Refusal(500, type(problem).__name__).body())
            self.log_error("%s: %s", type(problem).__name__, problem)
            return
        if isinstance(answer, dict):
            self._send(200, answer)
        else:
            self._stream(answer)

    def _refuse_strangers(self) -> None:
        host = self.headers.get("Host", "")
        name = host if host.endswith("]") else host.rpartition(":")[0] or host
        if name not in NAMES:
            raise Refusal(403, "this server answers to 127.0.0.1 and localhost alone")

    def _send(self, status: int, body: dict[str, Any]) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(data)

    def _stream(self, pieces: Iterator[dict[str, Any]]) -> None:
        """Server-sent events; a client that goes away ends the answer."""
        self.close_connection = True
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Cache-Control", "no-cache")
        self.send_header("Connection", "close")
        self.end_headers()
        with closing(pieces):  # type: ignore[type-var]  # generators, which hold the model until they are closed
            for piece in pieces:
                self.wfile.write(f"data: {json.dumps(piece)}\n\n".encode())
                self.wfile.flush()
            self.wfile.write(b"data: [DONE]\n\n")

    def handle(self) -> None:
        try:
            super().handle()
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True  # whoever asked has gone

    def log_message(self, format: str, *args: object) -> None:
        """Requests are not told: what is said on the terminal is the server's own."""

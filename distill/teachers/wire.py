"""JSON over HTTP to a server that may be slow, busy, restarting or wrong.

What may pass by itself is asked again, after a pause that doubles: no connection, no answer in time, an answer cut
short or garbled, 429 and 5xx (whose ``Retry-After`` is obeyed). What will not pass is told at once, in the server's own
words.

Left out on purpose: redirects (they would carry a key to another host), proxies, and connections that are kept open.
"""

import http.client
import json
import os
import random
import threading
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from distill.errors import BadInput, ResourceStop

PASSING = frozenset({408, 409, 425, 429, 500, 502, 503, 504})
LONGEST = 60.0
"""Seconds of a pause at most, whatever the server asks for."""
LARGEST = 1 << 30
"""Bytes of an answer."""
GARBLED = (json.JSONDecodeError, UnicodeDecodeError)


class Passing(Exception):
    """A failure that another try may not meet.

    Args:
        reason: in words.
        pause: seconds that the server asks for, or None.
    """

    def __init__(self, reason: str, pause: float | None = None) -> None:
        super().__init__(reason)
        self.pause = pause


class Wire:
    """A server's address and how patiently it is asked; used by several threads.

    Args:
        place: the config key of the address, for messages.
        url: ``http://host:port`` or ``https://host``, with a path before ``/v1`` if there is one.
        timeout: seconds that the server may be silent.
        retries: further tries of a question.
        pause: seconds before the second try; doubled each time, with a little chance in it.
        per_second: questions a second at most, over all threads; None for no limit.
        key_variable: the environment variable that holds a key; None for none.

    Raises:
        BadInput: the address is none, or holds a password; the variable is not set.
    """

    def __init__(
        self,
        place: str,
        url: str,
        timeout: float,
        retries: int,
        pause: float = 0.5,
        per_second: float | None = None,
        key_variable: str | None = None,
    ) -> None:
        self.place, self.url = place, url.rstrip("/")
        self.timeout, self.retries, self.pause = timeout, retries, pause
        self.tries = 0
        self._gap = 0.0 if per_second is None else 1.0 / per_second
        self._slot, self._lock = 0.0, threading.Lock()
        self._chance = random.Random(0)  # of the pauses; the run's own generators are left alone
        self._key = _key(key_variable)
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise BadInput(place, "is no address of a server", value=url, remedy="write http://HOST:PORT")
        if "@" in parts.netloc:
            raise BadInput(place, "holds a password, which would be written down", remedy="use teacher.key_variable")
        self._secure, self._host, self._port, self._path = (
            parts.scheme == "https",
            parts.hostname,
            parts.port,
            parts.path,
        )

    def ask(self, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """The answer to a question, as JSON.

        Raises:
            BadInput: the server refuses the question.
            ResourceStop: it did not answer, however often it was asked.
        """
        last = ""
        for attempt in range(self.retries + 1):
            try:
                return self._asked(path, body)
            except Passing as problem:
                last = str(problem)
                if attempt < self.retries:
                    time.sleep(self._pause(attempt, problem.pause))
        reason = f"no answer in {self.retries + 1} tries ({last})"
        raise ResourceStop(
            self.place,
            reason,
            value=self.url,
            remedy="start the server, or raise teacher.retries; the same command goes on",
        )

    def _pause(self, attempt: int, wanted: float | None) -> float:
        own = self.pause * 2**attempt * (0.75 + 0.5 * self._chance.random())
        return min(LONGEST, own if wanted is None else max(own, wanted))

    def _asked(self, path: str, body: Mapping[str, Any] | None) -> Any:
        self._wait()
        kind = http.client.HTTPSConnection if self._secure else http.client.HTTPConnection
        connection = kind(self._host, self._port, timeout=self.timeout)
        try:
            headers = {"Accept": "application/json", "Content-Type": "application/json", **self._key}
            sent = None if body is None else json.dumps(body)
            connection.request("GET" if body is None else "POST", self._path + path, sent, headers)
            answer = connection.getresponse()
            data = answer.read(LARGEST)
        except (OSError, http.client.HTTPException) as problem:  # refused, reset, timed out, cut short
            raise Passing(f"{type(problem).__name__}: {problem}") from problem
        finally:
            connection.close()
        return self._read(path, answer, data)

    def _read(self, path: str, answer: http.client.HTTPResponse, data: bytes) -> Any:
        if answer.status in PASSING:
            raise Passing(f"HTTP {answer.status}", _seconds(answer.getheader("Retry-After")))
        if answer.status != 200:
            raise Refused(self.place, path, answer.status, _said(data))
        try:
            return json.loads(data)
        except GARBLED as problem:
            raise Passing(f"the answer is no JSON ({problem})") from problem

    def _wait(self) -> None:
        """Until this question's turn."""
        with self._lock:
            self.tries += 1
            now = time.monotonic()
            mine = max(now, self._slot)
            self._slot = mine + self._gap
        if mine > now:
            time.sleep(mine - now)


class Refused(BadInput):
    """The server understood a question and will not answer it.

    Args:
        place: the config key of the address.
        path: what was asked.
        status: of HTTP.
        said: the server's own words.
    """

    def __init__(self, place: str, path: str, status: int, said: str) -> None:
        reason = f"the server refuses {path} (HTTP {status}): {said or 'without a reason'}"
        super().__init__(place, reason, remedy="ask for what it offers, or start it with other options")
        self.status, self.said = status, said


def _key(variable: str | None) -> dict[str, str]:
    if variable is None:
        return {}
    key = os.environ.get(variable)
    if not key:
        raise BadInput("teacher.key_variable", "is no environment variable that is set", value=variable)
    return {"Authorization": f"Bearer {key}"}


def _seconds(header: str | None) -> float | None:
    """``Retry-After`` in seconds; its other form, a date, is not waited for."""
    try:
        return None if header is None else max(0.0, float(header))
    except ValueError:
        return None


def _said(data: bytes) -> str:
    """The message in an error's body: vLLM nests it, others do not."""
    try:
        told = json.loads(data)
    except GARBLED:
        return ""
    inner = told.get("error", told) if isinstance(told, dict) else {}
    message = inner.get("message", inner.get("detail", "")) if isinstance(inner, dict) else inner
    return str(message)[:300]

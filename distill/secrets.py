"""Keeps secrets out of whatever is written down: saved configs, provenance, command lines, reports, messages.

A value is hidden if its key says that it is a secret, if it stands in a URL before an ``@``, or if it is the value of
an environment variable that holds one. Names that only look alike (``num_memory_tokens``, ``use_cls_token``) are left
alone: a config that hides its own settings cannot be reproduced.

Left out on purpose: guessing from the looks of a value, but for prefixes that name their issuer (``hf_``, ``ghp_``).
Hashes look like tokens, and they are what a record is for.
"""

import os
import re
from collections.abc import Iterable, Mapping
from typing import Any

HIDDEN = "<hidden>"
WHOLE = frozenset(
    {"token", "password", "passwd", "passphrase", "pwd", "secret", "secrets", "credential", "credentials", "apikey"}
    | {"authorization", "auth", "bearer", "cookie", "netrc"}
)
"""Keys that are secrets by themselves."""
ENDINGS = (
    "api_key",
    "access_key",
    "secret_key",
    "private_key",
    "account_key",
    "access_token",
    "auth_token",
    "api_token",
    "refresh_token",
    "bearer_token",
    "hub_token",
    "hf_token",
    "session_token",
    "personal_token",
    "git_token",
    "github_token",
    "gitlab_token",
    "wandb_token",
    "password",
    "passwd",
    "passphrase",
    "secret",
    "credentials",
)
"""What a longer key may end in; ``_token`` alone is no such ending, most tokens here are words."""
VARIABLES = re.compile(r"(?:TOKEN|SECRET|PASSWORD|PASSWD|API_?KEY|ACCESS_?KEY|PRIVATE_?KEY|CREDENTIALS?)$", re.I)
SHORTEST = 8
"""A variable's value below this length is no secret, and hiding every ``1`` would spoil the record."""
USER_INFO = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*://)[^\s/@'\"]+@")
IN_QUERY = re.compile(r"(?P<key>[?&;][\w.-]*(?:token|key|secret|password|signature|sig)=)[^&\s'\"]+", re.I)
IN_HEADER = re.compile(r"(?P<key>\b(?:bearer|basic)\s+)[A-Za-z0-9._~+/=-]{8,}", re.I)

ISSUED = re.compile(
    r"\b(?:hf_|gh[pousr]_|github_pat_|glpat-|sk-|xox[abp]-|AKIA)[A-Za-z0-9_-]{16,}",
)
PAIR = re.compile(r"(?P<key>[\w.@+~-]+)[\"']?\s*[=:]\s*(?=(?P<value>\"[^\"]*\"|'[^']*'|[^\s,;&'\"\[\]{}()]+))")


def redacted(value: Any, key: str = "", environment: Mapping[str, str] = os.environ) -> Any:
    """A copy of plain containers in which every secret reads ``<hidden>``.

    Args:
        value: dicts, lists, tuples and plain values.
        key: the name that the value stands under.
        environment: whose variables' values are looked for.
    """
    return _redacted(value, key, secrets(environment))


def redacted_text(text: str, environment: Mapping[str, str] = os.environ) -> str:
    """A text (a message, a log) without secrets in URLs, headers, ``key=value`` pairs, or from the environment."""
    return _clean(text, secrets(environment))


def redacted_command(words: Iterable[str], environment: Mapping[str, str] = os.environ) -> list[str]:
    """A command line in which ``key=value`` hides the value of a secret key."""
    known = secrets(environment)
    parted = [word.partition("=") for word in words]
    return [
        f"{key}={HIDDEN}" if sign and is_secret(key) else _clean(key + sign + rest, known) for key, sign, rest in parted
    ]


def is_secret(key: str) -> bool:
    """Whether a (dotted) key names a secret."""
    name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", re.split(r"[./@]", key)[-1]).lower().replace("-", "_").strip("_+~")
    return name in WHOLE or name.replace("_", "") in WHOLE or name.endswith(ENDINGS)


def secrets(environment: Mapping[str, str]) -> list[str]:
    """The values of variables whose names say that they hold a secret, the longest first."""
    found = {value for name, value in environment.items() if VARIABLES.search(name) and len(value) >= SHORTEST}
    for value in environment.values():
        if pair := USER_INFO.match(value):  # http_proxy, an index of packages
            password = pair.group()[len(pair["scheme"]) : -1].partition(":")[2]
            found |= {password} if len(password) >= SHORTEST else set()
    return sorted(found, key=len, reverse=True)


def _redacted(value: Any, key: str, known: list[str]) -> Any:
    if isinstance(value, Mapping):
        inherited = key if is_secret(key) else ""
        return {name: _redacted(inner, inherited or str(name), known) for name, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_redacted(inner, key, known) for inner in value)
    if is_secret(key) and not (value is None or value == "" or isinstance(value, bool)):
        return HIDDEN
    return _clean(value, known) if isinstance(value, str) else value


def _clean(text: str, known: list[str]) -> str:
    for secret in known:
        text = text.replace(secret, HIDDEN)
    text = USER_INFO.sub(rf"\g<scheme>{HIDDEN}@", text)
    text = IN_QUERY.sub(rf"\g<key>{HIDDEN}", text)
    text = IN_HEADER.sub(rf"\g<key>{HIDDEN}", text)
    text = ISSUED.sub(HIDDEN, text)
    for start, end in reversed([found.span("value") for found in PAIR.finditer(text) if is_secret(found["key"])]):
        text = text[:start] + HIDDEN + text[end:]
    return text

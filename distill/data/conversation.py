"""What a record of chat data holds: turns with roles, or a prompt and its completion.

    {"messages": [{"role": "user", "content": "…"}, {"role": "assistant", "content": "…"}], "tools": […]}
    {"prompt": "…", "completion": "…"}

Tool calls, tool results and reasoning (``reasoning_content``) stay in their turns; the template decides how they are
spelled. Refused: unknown roles, content that is no text. Left out on purpose: pictures and sound inside a turn.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from distill.data.corpus import EMPTY, NULL, Tally, checked
from distill.data.files import kind_of
from distill.data.records import Record
from distill.errors import BadInput

ROLES = ("system", "developer", "user", "assistant", "tool")
UNANSWERED = "no_answer"
"""Nobody answers: there is nothing to learn."""


@dataclass(frozen=True)
class Fields:
    """Which fields of a record are read.

    Attributes:
        messages: a list of turns; where a record has it, the other two are not looked at.
        prompt, completion: a plain pair of texts.
    """

    messages: str
    prompt: str
    completion: str


def told(records: Iterable[Record], fields: Fields, tally: Tally) -> Iterator[str]:
    """Each record as JSON with sorted keys, so that equal conversations are equal texts; unusable ones are counted.

    Raises:
        BadInput: a record is no conversation and no pair.
    """
    for record in records:
        if fields.messages in record.fields:
            found = _conversation(record, fields.messages, tally)
        else:
            found = _pair(record, fields, tally)
        tally.domain = record.domain
        if found is not None:
            yield checked(record.place, json.dumps(found, sort_keys=True, ensure_ascii=False))


def _pair(record: Record, fields: Fields, tally: Tally) -> dict[str, Any] | None:
    if fields.prompt not in record.fields:
        reason = f"neither '{fields.messages}' nor '{fields.prompt}' is a field here"
        raise BadInput(record.place, reason, remedy="data.field=NAME, or data.prompt=NAME data.completion=NAME")
    if record.fields[fields.prompt] is None or record.value(fields.completion) is None:
        tally.drop(NULL)
        return None
    pair = {"prompt": record.text(fields.prompt), "completion": record.text(fields.completion)}
    if not pair["completion"].strip():
        tally.drop(UNANSWERED)
        return None
    return pair


def _conversation(record: Record, field: str, tally: Tally) -> dict[str, Any] | None:
    value = record.fields[field]
    if value is None or value == []:
        tally.drop(NULL if value is None else EMPTY)
        return None
    if not isinstance(value, list):
        raise BadInput(record.place, f"field '{field}' is {kind_of(value)}, where a list of turns was expected")
    turns = [_turn(record.place, number, turn) for number, turn in enumerate(value, start=1)]
    if all(turn["role"] != "assistant" for turn in turns):
        tally.drop(UNANSWERED)
        return None
    tools = record.fields.get("tools")
    return {"messages": turns} | ({"tools": tools} if tools else {})


def _turn(place: str, number: int, turn: Any) -> dict[str, Any]:
    if not isinstance(turn, dict) or "role" not in turn:
        raise BadInput(place, f"turn {number} is {kind_of(turn)} without a role", remedy="mend the row")
    if turn["role"] not in ROLES:
        reason = f"turn {number} has a role that is none of {', '.join(ROLES)}"
        raise BadInput(place, reason, remedy="rename the roles")
    content = turn.get("content")
    if isinstance(content, list):
        content = _joined(place, number, content)
    if content is not None and not isinstance(content, str):
        raise BadInput(place, f"turn {number} holds {kind_of(content)}, where text was expected", remedy="mend the row")
    kept = {key: value for key, value in turn.items() if value is not None}
    return kept | {"content": checked(place, content or "")}


def _joined(place: str, number: int, parts: list[Any]) -> str:
    if any(not isinstance(part, dict) or not isinstance(part.get("text"), str) for part in parts):
        raise BadInput(
            place, f"turn {number} has a part that is no text", remedy="pictures and sound are not read here"
        )
    return "".join(part["text"] for part in parts)

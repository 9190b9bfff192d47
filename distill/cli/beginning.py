"""A student that begins as its teacher: ``student.path=null`` means the teacher's folder, wherever that comes to lie.

A teacher trained by recipe has no path that a config could name beforehand.
"""

from collections.abc import Mapping
from typing import Any


def begins_as_teacher(student: Mapping[str, Any]) -> bool:
    """Whether a student's weights, or those of the one that it is made around, are taken from the teacher's folder."""
    inner = student.get("source")
    return ("path" in student and student["path"] is None) or (isinstance(inner, Mapping) and begins_as_teacher(inner))


def begun(student: Mapping[str, Any], teacher: str | None) -> Mapping[str, Any]:
    """The student's node with the path that its weights are taken from."""
    inner = student.get("source")
    if isinstance(inner, Mapping):
        return {**student, "source": begun(inner, teacher)}
    return {**student, "path": teacher} if begins_as_teacher(student) else student

"""A student that begins as its teacher: ``student.path=null`` means the teacher's folder, wherever that comes to lie.

A teacher trained by recipe has no path that a config could name beforehand.
"""

from collections.abc import Mapping
from typing import Any


def begins_as_teacher(student: Mapping[str, Any]) -> bool:
    """Whether a student's weights are taken from the teacher's folder."""
    return "path" in student and student["path"] is None


def begun(student: Mapping[str, Any], teacher: str | None) -> Mapping[str, Any]:
    """The student's node with the path that its weights are taken from."""
    return {**student, "path": teacher} if begins_as_teacher(student) else student

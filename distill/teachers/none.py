"""No teacher: the control of every claim."""

from typing import ClassVar

from distill.teachers.teacher import Teacher
from distill.types import Batch, Request


class NoTeacher(Teacher):
    """Nothing to say: the student learns from the data alone."""

    provides: ClassVar[frozenset[str]] = frozenset()

    def teach(self, batch: Batch, request: Request) -> None:
        return None

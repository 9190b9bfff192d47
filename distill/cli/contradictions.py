"""What no single key can say: two settings that exclude each other, a loss that asks what its teacher cannot say."""

from collections.abc import Callable, Iterator
from typing import Any

from distill.cli.binding import signature
from distill.cli.definitions import Definition, attribute, find
from distill.errors import BadInput

REMEDIES = {
    "logits": "use teacher=live or teacher=nursery, or remove the loss (~objective.losses.{loss})",
    "hidden": "use a teacher that runs here (teacher=live), or remove the loss (~objective.losses.{loss})",
    "layers": "use a teacher that runs here (teacher=live), or remove the loss (~objective.losses.{loss})",
    "attention": "use a teacher that runs here (teacher=live), or remove the loss (~objective.losses.{loss})",
}
REMEDY = "choose another teacher or another loss (distill list teachers)"


def contradictions(config: dict[str, Any], origin: Callable[[str], str]) -> list[BadInput]:
    """Every contradiction of a bound config, in words."""
    checks = (_two_corpora, _needless_control, _unmet_needs, _hidden_attention, _other_tokens)
    return [problem for check in checks for problem in check(config, origin)]


def _two_corpora(config: dict[str, Any], origin: Callable[[str], str]) -> Iterator[BadInput]:
    data = config.get("data")
    if isinstance(data, dict) and data.get("path") and data.get("name"):
        place = f"{origin('data.path')} data.path, data.name"
        yield BadInput(place, f"got {data['path']!r} and {data['name']!r}, expected one of the two")


def _needless_control(config: dict[str, Any], origin: Callable[[str], str]) -> Iterator[BadInput]:
    teacher = _class_of(config.get("teacher"))
    silent = teacher is not None and attribute(teacher, "provides") == frozenset()
    if silent and config.get("control", "none") != "none":
        reason = f"got {config['control']!r}, expected none: without a teacher the student is its own control"
        yield BadInput(f"{origin('control')} control", reason, remedy="write control=none")


def _unmet_needs(config: dict[str, Any], origin: Callable[[str], str]) -> Iterator[BadInput]:
    teacher = _class_of(config.get("teacher"))
    provided = attribute(teacher, "provides") if teacher else None
    if teacher is None or not isinstance(provided, frozenset):
        return
    for key, loss in _nodes(config.get("objective"), "objective"):
        for need in sorted(_needs(loss) - provided):
            said = ", ".join(sorted(provided)) or "nothing"
            reason = f"needs {need!r} of the teacher, but {teacher.name} provides {said}"
            remedy = REMEDIES.get(need, REMEDY).format(loss=key.rpartition(".")[2])
            yield BadInput(f"{origin(key)} {key}", reason, remedy=remedy)


def _hidden_attention(config: dict[str, Any], origin: Callable[[str], str]) -> Iterator[BadInput]:
    """Fused kernels never hold the attention weights, and a dropout on them hides where the student looks."""
    readers = [key for key, loss in _nodes(config.get("objective"), "objective") if "attention" in _needs(loss)]
    if not readers:
        return
    for side in ("teacher", "student"):
        node, key = config.get(side), f"{side}.attention"
        takes = (made := _class_of(node)) is not None and "attention" in signature(made).parameters
        if isinstance(node, dict) and takes and node.get("attention") != "eager":
            reason = f"got {node.get('attention', 'auto')!r}, expected eager: {readers[0]} reads attention weights"
            yield BadInput(f"{origin(key)} {key}", reason, remedy=f"add {key}=eager")
    student = config.get("student")
    if isinstance(student, dict) and student.get("dropout"):
        reason = f"got {student['dropout']}, expected 0: {readers[0]} reads attention weights, dropout lies on them"
        yield BadInput(f"{origin('student.dropout')} student.dropout", reason, remedy="write student.dropout=0")


def _needs(loss: dict[str, Any]) -> frozenset[str]:
    definition = _class_of(loss)
    needs = attribute(definition, "needs") if definition else None
    return needs if isinstance(needs, frozenset) else frozenset()


def _other_tokens(config: dict[str, Any], origin: Callable[[str], str]) -> Iterator[BadInput]:
    """A teacher with a tokenizer of its own where both must have one; an alignment that asks what is not said."""
    node, teacher = config.get("alignment"), config.get("teacher")
    alignment = _class_of(node)
    if alignment is None or not isinstance(teacher, dict):
        return
    recipe = teacher.get("recipe")
    if isinstance(recipe, dict) and recipe.get("tokenizer") and attribute(alignment, "crosses") is not True:
        reason = f"gives the teacher a tokenizer of its own, but {alignment.name} needs one for both"
        place = f"{origin('teacher.recipe.tokenizer')} teacher.recipe.tokenizer"
        yield BadInput(place, reason, remedy="write alignment=byte_spans")
    definition = _class_of(teacher)
    needs, provided = attribute(alignment, "needs"), attribute(definition, "provides") if definition else None
    if isinstance(needs, frozenset) and isinstance(provided, frozenset) and provided and needs - provided:
        said = ", ".join(sorted(provided))
        reason = f"needs {', '.join(sorted(needs - provided))} of the teacher, but it provides {said}"
        yield BadInput(f"{origin('alignment')} alignment", reason, remedy="use a teacher that runs here (teacher=live)")


def _nodes(value: object, key: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every part below a key."""
    if isinstance(value, dict):
        if "_target_" in value:
            yield key, value
        for name, inner in value.items():
            yield from _nodes(inner, f"{key}.{name}")
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _nodes(inner, f"{key}.{index}")


def _class_of(node: object) -> Definition | None:
    target = node.get("_target_") if isinstance(node, dict) else None
    return find(target) if isinstance(target, str) else None

"""What no single key can say: two settings that exclude each other, a loss that asks what its teacher cannot say."""

from collections.abc import Callable, Iterator
from typing import Any

from distill.cli.attention import readers
from distill.cli.definitions import attribute
from distill.cli.nodes import coarser_of, needs_of, nodes, part_of
from distill.cli.speaker import speaker
from distill.errors import BadInput

REMEDIES = {
    "logits": "use teacher=live or teacher=nursery, or remove the loss (~objective.losses.{loss})",
    "hidden": "use a teacher that runs here (teacher=live), or remove the loss (~objective.losses.{loss})",
    "layers": "keep them (signal@teacher.signal=layers), use a teacher that runs here (teacher=live), or remove the "
    "loss (~objective.losses.{loss})",
    "attention": "use a teacher that runs here (teacher=live), or remove the loss (~objective.losses.{loss})",
    "sampled": "use teacher=stored signal@teacher.signal=sampled, or another loss",
}
BALANCED = "distill.losses.balance.Balanced"
WORDS = (
    "a teacher that says only words can be learnt from as text: let it write first (distill generate), then train on \
that (data.path=FILE teacher=none objective=cross_entropy)"
)
REMEDY = "choose another teacher or another loss (distill list teachers)"


def contradictions(config: dict[str, Any], origin: Callable[[str], str]) -> list[BadInput]:
    """Every contradiction of a bound config, in words."""
    checks = (
        _two_corpora,
        _needless_control,
        _unmet_needs,
        _other_temperature,
        _blurred_attention,
        _balance,
        _other_tokens,
        _kept_changes,
        _unkeepable,
        _unread_words,
        _unwritten,
        _other_data,
        _kept_writing,
    )
    return [problem for check in checks for problem in check(config, origin)]


def _two_corpora(config: dict[str, Any], origin: Callable[[str], str]) -> Iterator[BadInput]:
    told = config.get("data")
    data = told if isinstance(told, dict) else {}
    keys = [key for key in ("path", "name", "sources") if data.get(key)]
    if len(keys) > 1:
        place = f"{origin(f'data.{keys[0]}')} {', '.join(f'data.{key}' for key in keys)}"
        got = " and ".join(repr(data[key]) for key in keys)
        yield BadInput(place, f"got {got}, expected one of them")


def _needless_control(config: dict[str, Any], origin: Callable[[str], str]) -> Iterator[BadInput]:
    teacher = part_of(config.get("teacher"))
    silent = teacher is not None and _provided(config.get("teacher")) == frozenset()
    if silent and config.get("control", "none") != "none":
        reason = f"got {config['control']!r}, expected none: without a teacher the student is its own control"
        yield BadInput(f"{origin('control')} control", reason, remedy="write control=none")


def _unmet_needs(config: dict[str, Any], origin: Callable[[str], str]) -> Iterator[BadInput]:
    teacher = part_of(config.get("teacher"))
    provided = _provided(config.get("teacher"))
    if teacher is None or provided is None:
        return
    for key, loss in nodes(config.get("objective"), "objective"):
        coarse = frozenset({"logits"}) if coarser_of(loss) & provided else frozenset()
        for need in sorted(needs_of(loss) - provided - coarse):
            said = ", ".join(sorted(provided)) or "nothing"
            reason = f"needs {need!r} of the teacher, but {teacher.name} provides {said}"
            remedy = REMEDIES.get(need, REMEDY).format(loss=key.rpartition(".")[2])
            remedy = WORDS if provided == frozenset({"text"}) else remedy
            yield BadInput(f"{origin(key)} {key}", reason, remedy=remedy)


def _other_temperature(config: dict[str, Any], origin: Callable[[str], str]) -> Iterator[BadInput]:
    """A signal drawn at one temperature, asked at another."""
    objective, (drawn, remedied) = config.get("objective"), _drawn(config.get("teacher"))
    if drawn is None or not isinstance(objective, dict):
        return
    losses = objective.get("losses")
    for name, loss in losses.items() if isinstance(losses, dict) else ():
        own = loss.get("temperature") if isinstance(loss, dict) else None
        key = "objective.temperature" if own is None else f"objective.losses.{name}.temperature"
        asked = objective.get("temperature", 1.0) if own is None else own
        if needs_of(loss) & {"logits", "sampled"} and asked != drawn:
            told = asked if isinstance(asked, (int, float)) else "one that changes, or one for each domain"
            reason = f"got {told}, but the teacher's signal is drawn at {drawn} and tells no other"
            one = remedied if told is asked else "write {key}={drawn}, or take a teacher that is exact at every one"
            yield BadInput(f"{origin(key)} {key}", reason, remedy=one.format(told=told, key=key, drawn=drawn))


def _drawn(teacher: object) -> tuple[object, str]:
    """The one temperature at which a teacher speaks, if there is one, and what to do about it."""
    signal = teacher.get("signal") if isinstance(teacher, dict) else None
    if isinstance(signal, dict) and "temperature" in signal:
        remedy = "write teacher.signal.temperature={told}, or signal@teacher.signal=hidden, exact at every one"
        return signal["temperature"], remedy
    part = part_of(teacher)
    remedy = "write {key}={drawn}, or use a teacher that runs here (teacher=live)"
    return attribute(part, "temperature") if part and signal is None else None, remedy


def _blurred_attention(config: dict[str, Any], origin: Callable[[str], str]) -> Iterator[BadInput]:
    """A dropout on the attention weights hides where the student looks."""
    student, reading = config.get("student"), readers(config)
    if reading and isinstance(student, dict) and student.get("dropout"):
        reason = f"got {student['dropout']}, expected 0: {reading[0]} reads attention weights, dropout lies on them"
        yield BadInput(f"{origin('student.dropout')} student.dropout", reason, remedy="write student.dropout=0")


def _balance(config: dict[str, Any], origin: Callable[[str], str]) -> Iterator[BadInput]:
    """A balanced number that is no weight of a term, or that has no other term to be balanced with."""
    objective = config.get("objective")
    losses = objective.get("losses") if isinstance(objective, dict) else None
    named = losses.items() if isinstance(losses, dict) else ()
    weights = {f"objective.losses.{name}.weight": _weight(loss) for name, loss in named}
    for key, node in nodes(objective, "objective"):
        if node["_target_"] != BALANCED:
            continue
        others = [other for other, weight in weights.items() if other != key and weight != 0]
        if key not in weights:
            reason = "only the weight of a loss can be balanced"
            yield BadInput(f"{origin(key)} {key}", reason, remedy="write a number or a schedule")
        elif not others:
            reason = "is balanced, but no other loss has a weight to balance it with"
            other = next((name for name in weights if name != key), "objective.losses.ce.weight")
            yield BadInput(f"{origin(key)} {key}", reason, remedy=f"write {other}=1")


def _weight(loss: object) -> object:
    return loss.get("weight", 1.0) if isinstance(loss, dict) else 1.0


def _kept_changes(config: dict[str, Any], origin: Callable[[str], str]) -> Iterator[BadInput]:
    """A store of a teacher that does not say the same of a text every time it is asked."""
    teacher = config.get("teacher")
    source = teacher.get("source") if isinstance(teacher, dict) else None
    for key, node in nodes(source, "teacher.source"):
        part = part_of(node)
        if part is not None and attribute(part, "changes") is True:
            reason = f"{part.name} answers otherwise from step to step, so nothing of it can be kept"
            yield BadInput(f"{origin(key)} {key}", reason, remedy="use it without teacher=stored")
        if node.get("route") == "domain":
            reason = "which teacher is heard depends on more than the text, so nothing of it can be kept"
            remedy = "keep each teacher's word instead: teacher=ensemble teacher@teacher.teachers.NAME=stored"
            yield BadInput(f"{origin(f'{key}.route')} {key}.route", reason, remedy=remedy)


def _unwritten(config: dict[str, Any], origin: Callable[[str], str]) -> Iterator[BadInput]:
    """A loss about text that models write, and nobody writes."""
    rollout = part_of(config.get("rollout"))
    if rollout is None or attribute(rollout, "writes") is True:
        return
    for key, loss in nodes(config.get("objective"), "objective"):
        part = part_of(loss)
        if part is not None and attribute(part, "written") is True:
            reason = f"{part.name} is about text that models write, and this rollout writes none"
            other = "pairs" if part.name == "ContrastivePairs" else "student"
            yield BadInput(f"{origin(key)} {key}", reason, remedy=f"write rollout={other}")


def _other_data(config: dict[str, Any], origin: Callable[[str], str]) -> Iterator[BadInput]:
    """A loss about what other data has: frames without labels, pictures."""
    data = part_of(config.get("data"))
    kind = attribute(data, "kind") if data is not None else None
    for key, loss in nodes(config.get("objective"), "objective"):
        part = part_of(loss)
        wanted = attribute(part, "of_data") if part is not None else None
        if part is not None and kind is not None and wanted not in (None, kind):
            reason = f"{part.name} is about what data={wanted} has, and this data is {kind}"
            yield BadInput(f"{origin(key)} {key}", reason, remedy=f"write data={wanted}")


def _unkeepable(config: dict[str, Any], origin: Callable[[str], str]) -> Iterator[BadInput]:
    """A store of what its source does not say."""
    teacher = config.get("teacher")
    source, signal = (teacher.get(key) if isinstance(teacher, dict) else None for key in ("source", "signal"))
    kept, told = part_of(signal), _provided(source)
    if kept is None or not told or not isinstance(signal, dict):
        return
    provided = attribute(kept, "provides")
    needed = "hidden" if attribute(kept, "headed") is True else "logits"
    if needed not in told and not (provided == frozenset({"topk"}) and "topk" in told):
        reason = f"keeps what needs {needed!r} of the source, which provides {', '.join(sorted(told))}"
        remedy = "write signal@teacher.signal=topk" if told & {"logits", "topk"} else "choose another source"
        yield BadInput(f"{origin('teacher.signal')} teacher.signal", reason, remedy=remedy)
    speaking = part_of(source)
    own = attribute(speaking, "temperature") if speaking else None
    if own is not None and signal.get("temperature", own) != own:
        reason = f"got {signal['temperature']}, but the source speaks at {own} alone"
        remedy = f"write teacher.signal.temperature={own}"
        yield BadInput(f"{origin('teacher.signal.temperature')} teacher.signal.temperature", reason, remedy=remedy)


def _unread_words(config: dict[str, Any], origin: Callable[[str], str]) -> Iterator[BadInput]:
    """A training under a teacher that only writes, where nothing is read of what it would write."""
    teacher = config.get("teacher")
    part = part_of(teacher)
    if part is None or "objective" not in config or _provided(teacher) != frozenset({"text"}):
        return
    if not any(needs_of(loss) for _, loss in nodes(config.get("objective"), "objective")):
        reason = f"{part.name} says only words, and nothing in this run reads them"
        remedy = "let it write a data set first (distill generate), and train on that: data.path=FILE teacher=none"
        yield BadInput(f"{origin('teacher')} teacher", reason, remedy=remedy)


def _kept_writing(config: dict[str, Any], origin: Callable[[str], str]) -> Iterator[BadInput]:
    """A store of a teacher's word on text that is written anew at every step."""
    rollout, teacher = part_of(config.get("rollout")), config.get("teacher")
    writes = rollout is not None and attribute(rollout, "writes") is True
    if writes and isinstance(teacher, dict) and "source" in teacher:
        reason = "keeps a word on every text, but this rollout writes new text all the time: it would be read by nobody"
        yield BadInput(f"{origin('teacher')} teacher", reason, remedy="write teacher=nursery, or teacher=live")


def _provided(teacher: object) -> frozenset[str] | None:
    """What a teacher says; of one that keeps another's word, what the kept signal says."""
    signal = teacher.get("signal") if isinstance(teacher, dict) else None
    definition = part_of(signal) or part_of(teacher)
    provided = attribute(definition, "provides") if definition else None
    return provided if isinstance(provided, frozenset) else None


def _other_tokens(config: dict[str, Any], origin: Callable[[str], str]) -> Iterator[BadInput]:
    """A teacher with a tokenizer of its own where both must have one; an alignment that asks what is not said."""
    node, teacher = config.get("alignment"), config.get("teacher")
    alignment = part_of(node)
    if alignment is None or not isinstance(teacher, dict):
        return
    recipe = speaker(teacher).get("recipe")
    if isinstance(recipe, dict) and recipe.get("tokenizer") and attribute(alignment, "crosses") is not True:
        reason = f"gives the teacher a tokenizer of its own, but {alignment.name} needs one for both"
        place = f"{origin('teacher.recipe.tokenizer')} teacher.recipe.tokenizer"
        yield BadInput(place, reason, remedy="write alignment=byte_spans")
    needs, provided = attribute(alignment, "needs"), _provided(teacher)
    if isinstance(needs, frozenset) and provided and needs - provided:
        said = ", ".join(sorted(provided))
        reason = f"needs {', '.join(sorted(needs - provided))} of the teacher, but it provides {said}"
        yield BadInput(f"{origin('alignment')} alignment", reason, remedy="use a teacher that runs here (teacher=live)")

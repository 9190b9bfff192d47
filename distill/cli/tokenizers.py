"""Whose tokens a run speaks, and how a teacher with other tokens is brought to them.

Where an alignment crosses tokenizers (its class says so), the student keeps its own: a pretrained student's, else the
data's recipe, else the teacher's; the batches then carry the teacher's tokens beside. Otherwise both have one.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from distill.cli.definitions import attribute, find
from distill.cli.speaker import speaker, speakers
from distill.errors import BadInput

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from distill.alignment.alignment import Alignment
    from distill.data.module import DataModule
    from distill.data.text import TextData


def crosses(config: Mapping[str, Any]) -> bool:
    """Whether the run's alignment lets the tokenizers differ; read as text."""
    node = config.get("alignment")
    target = node.get("_target_") if isinstance(node, Mapping) else None
    definition = find(target) if isinstance(target, str) else None
    return definition is not None and attribute(definition, "crosses") is True


def wordless(node: Mapping[str, Any]) -> bool:
    """Whether a model of a teacher speaks of no tokens (its class says so), so that none have to be shared; read as
    text."""
    target = node.get("_target_")
    definition = find(target) if isinstance(target, str) else None
    return definition is not None and attribute(definition, "wordless") is True


def differ(teacher: Mapping[str, Any], tokenizer: "PreTrainedTokenizerBase") -> bool:
    """Whether a loadable teacher reads a text in other tokens; equal ones need no alignment.

    Raises:
        BadInput: one of several does.
    """
    from distill.data.tokenizer import fingerprint
    from distill.folders import load_tokenizer

    nodes = speakers(teacher)
    for place, node in nodes.items():
        if node.get("path") is None or fingerprint(load_tokenizer(located(node))) == fingerprint(tokenizer):
            continue
        if len(nodes) == 1:
            return True
        reason = "has another tokenizer; an alignment brings one teacher to the student's tokens, not one of several"
        raise BadInput(f"teacher.{place}", reason, remedy="leave it out, or use it alone")
    return False


def tokenizer_place(node: Mapping[str, Any]) -> str | None:
    """Where the tokenizer of a model's node is: with the model, with the model that a chain begins with, or where a
    served one's was named; None where it brings none."""
    if node.get("path") is not None:
        return located(node)
    if isinstance(node.get("chain"), Mapping):
        return tokenizer_place(speaker(node["chain"]["source"]))
    recipe = node.get("recipe")
    if isinstance(recipe, Mapping) and not recipe.get("tokenizer") and recipe["student"].get("path") is not None:
        return located(recipe["student"])
    return node.get("tokenizer") if node.get("url") is not None else None


def own_tokenizer(config: Mapping[str, Any]) -> "PreTrainedTokenizerBase | None":
    """The student's, if it is pretrained; else the teacher's, unless the alignment crosses; else None: the data
    trains one."""
    from distill.folders import load_tokenizer

    recipe = config["data"].get("tokenizer") is not None
    for part in ("student",) if crosses(config) and recipe else ("student", "teacher"):
        for node in speakers(config[part]).values():
            if not wordless(node) and (place := tokenizer_place(node)) is not None:
                return load_tokenizer(place)
    if not recipe:
        reason = "no model brings a tokenizer, and there is no recipe for one"
        raise BadInput("data.tokenizer", reason, remedy="leave data.tokenizer as it is, or name a model")
    return None


def met(
    teacher: Mapping[str, Any], data: "DataModule", tokenizer: "PreTrainedTokenizerBase"
) -> tuple[int | None, tuple[str, ...]]:
    """What both models predict, as ``shared``; the data is shown the teacher's folder, where it may have to read
    something else (another tokenizer, another resolution, a text instead of a picture).

    Raises:
        BadInput: they do not predict the same.
    """
    for place, node in speakers(teacher).items():
        if node.get("path") is not None:
            data.meet(located(node), ".".join(filter(None, ("teacher", place, "path"))))
    labels = len(data.task.labels)
    return (labels, ()) if labels else shared(teacher, tokenizer, data.sequence_length, data.templated)


def shared(
    teacher: Mapping[str, Any], tokenizer: "PreTrainedTokenizerBase", length: int, templated: bool = False
) -> tuple[int | None, tuple[str, ...]]:
    """How many ids mean the same to student and every model of a teacher, and what a person should know; None without
    a teacher of one's own.

    Raises:
        BadInput: they do not speak of the same tokens, or the teacher has fewer positions than a row.
    """
    found = [_shared(place, node, tokenizer, length, templated) for place, node in speakers(teacher).items()]
    sizes = [size for size, _ in found if size is not None]
    notes = dict.fromkeys(note for _, told in found for note in told)
    return min(sizes, default=None), tuple(notes)


def _shared(
    place: str, teacher: Mapping[str, Any], tokenizer: "PreTrainedTokenizerBase", length: int, templated: bool
) -> tuple[int | None, tuple[str, ...]]:
    from distill.data.length import check_length
    from distill.data.vocabulary import shared_vocabulary, vocabulary_size
    from distill.folders import known_ids, load_config, load_tokenizer

    if teacher.get("url") is not None:
        return _served(teacher, tokenizer)
    if teacher.get("path") is None or wordless(teacher):
        return None, ()
    folder, key = located(teacher), ".".join(filter(None, ("teacher", place, "path")))
    config = load_config(folder)
    check_length(config, length, key)
    size = vocabulary_size(config, key)
    found = shared_vocabulary(load_tokenizer(folder), tokenizer, size, known_ids(tokenizer), templated)
    return found.size, found.notes


def _served(teacher: Mapping[str, Any], tokenizer: "PreTrainedTokenizerBase") -> tuple[int, tuple[str, ...]]:
    """The same of a model that runs elsewhere: its tokenizer, if it was named; else the server is asked later."""
    from distill.data.vocabulary import shared_vocabulary
    from distill.folders import known_ids, load_tokenizer

    if teacher.get("tokenizer") is None:
        return known_ids(tokenizer), ()
    theirs = load_tokenizer(teacher["tokenizer"])
    found = shared_vocabulary(theirs, tokenizer, known_ids(theirs), known_ids(tokenizer))
    return found.size, found.notes


def pair(
    teacher: Mapping[str, Any], data: "TextData", tokenizer: "PreTrainedTokenizerBase"
) -> tuple["PreTrainedTokenizerBase", tuple[str, ...]]:
    """Let the batches carry the teacher's tokens too; its tokenizer, and what a person should know.

    Raises:
        BadInput: the teacher has fewer positions than the longest piece in its tokens, or its tokenizer is not its own.
    """
    from distill.data.length import check_length
    from distill.data.vocabulary import check_embedding, vocabulary_size
    from distill.folders import known_ids, load_config, load_tokenizer

    folder = located(teacher)
    config, theirs = load_config(folder), load_tokenizer(folder)
    check_embedding("teacher", theirs.get_vocab().values(), vocabulary_size(config, "teacher.path"))
    data.pair(theirs)
    longest = data.teacher_length()
    check_length(config, longest, "teacher.path")
    note = (
        f"the teacher has a tokenizer of its own: {known_ids(theirs):,} ids beside {known_ids(tokenizer):,}, "
        f"{longest:,} tokens where a piece has {data.sequence_length:,}; compare in bits per byte"
    )
    return theirs, (note,)


def prepare(
    alignment: "Alignment", student: "PreTrainedTokenizerBase", teacher: "PreTrainedTokenizerBase | None"
) -> None:
    """Tell an alignment what every id spells.

    Args:
        teacher: its own tokenizer; None where the two have one, and nothing is told.
    """
    if teacher is None or not alignment.crosses:
        return
    from distill.data.encode import Marks
    from distill.data.spelling import spelling

    ends = Marks.of(student).end, Marks.of(teacher).end
    both = all(end is not None for end in ends)
    ours, theirs = (
        spelling(tokenizer, end if both else None) for tokenizer, end in zip((student, teacher), ends, strict=True)
    )
    alignment.prepare(ours, theirs)


def located(node: Mapping[str, Any]) -> str:
    """The folder or hub id of a model's node."""
    from distill.folders import locate

    cache = node.get("cache")
    return locate(node["path"], node.get("wheel"), None if cache is None else Path(cache).expanduser())

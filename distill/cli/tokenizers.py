"""Whose tokens a run speaks, and how a teacher with other tokens is brought to them.

Where an alignment crosses tokenizers (its class says so), the student keeps its own: a pretrained student's, else the
data's recipe, else the teacher's; the batches then carry the teacher's tokens beside. Otherwise both have one.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from distill.cli.definitions import attribute, find
from distill.cli.speaker import speaker
from distill.errors import BadInput

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from distill.alignment.alignment import Alignment
    from distill.data.text import TextData


def crosses(config: Mapping[str, Any]) -> bool:
    """Whether the run's alignment lets the tokenizers differ; read as text."""
    node = config.get("alignment")
    target = node.get("_target_") if isinstance(node, Mapping) else None
    definition = find(target) if isinstance(target, str) else None
    return definition is not None and attribute(definition, "crosses") is True


def differ(teacher: Mapping[str, Any], tokenizer: "PreTrainedTokenizerBase") -> bool:
    """Whether a loadable teacher reads a text in other tokens; equal ones need no alignment."""
    from distill.data.tokenizer import fingerprint
    from distill.folders import load_tokenizer

    if teacher.get("path") is None:
        return False
    return fingerprint(load_tokenizer(located(teacher))) != fingerprint(tokenizer)


def own_tokenizer(config: Mapping[str, Any]) -> "PreTrainedTokenizerBase | None":
    """The student's, if it is pretrained; else the teacher's, unless the alignment crosses; else None: the data
    trains one."""
    from distill.folders import load_tokenizer

    recipe = config["data"].get("tokenizer") is not None
    for part in ("student",) if crosses(config) and recipe else ("student", "teacher"):
        node = speaker(config[part])
        if node.get("path") is not None:
            return load_tokenizer(located(node))
    if not recipe:
        reason = "no model brings a tokenizer, and there is no recipe for one"
        raise BadInput("data.tokenizer", reason, remedy="leave data.tokenizer as it is, or name a model")
    return None


def shared(
    teacher: Mapping[str, Any], tokenizer: "PreTrainedTokenizerBase", length: int
) -> tuple[int | None, tuple[str, ...]]:
    """How many ids mean the same to both models, and what a person should know; None without a teacher of one's own.

    Raises:
        BadInput: they do not speak of the same tokens, or the teacher has fewer positions than a row.
    """
    from distill.data.length import check_length
    from distill.data.vocabulary import shared_vocabulary, vocabulary_size
    from distill.folders import known_ids, load_config, load_tokenizer

    if teacher.get("path") is None:
        return None, ()
    folder = located(teacher)
    config = load_config(folder)
    check_length(config, length, "teacher.path")
    size = vocabulary_size(config, "teacher.path")
    found = shared_vocabulary(load_tokenizer(folder), tokenizer, size, known_ids(tokenizer))
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

"""Whether teacher and student speak of the same tokens; told by tokenizers and configs, before a weight is loaded.

Left out on purpose: making unequal tokenizers meet. That is an alignment's task; here they are refused with the reason.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

from transformers import PretrainedConfig, PreTrainedTokenizerBase

from distill.data.encode import Marks
from distill.errors import BadInput
from distill.folders import known_ids

PLACE = "teacher and student"
REMEDY = "alignment=byte_spans, or a student with the teacher's tokenizer"
SAVE = "save the student with the teacher's tokenizer"
PROBES = (
    "The quick brown fox, 12,345.678 times.",
    "def f(x):\n\t  return  x ** 2   # naïve café",
    "日本語 and Ελληνικά 🙂 İstanbul ﬁ",
    "  Leading, trailing, don't WE'LL\r\n\n\n",
)
"""Equal ids on these, and on a text made of the vocabulary itself, stand for equal merges, normalisers and
pre-tokenizers, which serialise in many equal ways."""
PROBED_IDS = 2_000


@dataclass(frozen=True)
class SharedVocabulary:
    """What two models have in common.

    Attributes:
        size: ids below it mean the same strings to both; every head is cut to it.
        kind: ``equal``; ``padded``: an embedding has rows that mean no string; ``added_specials``: one tokenizer has
            special tokens that no text spells.
        teacher_surplus, student_surplus: rows of each embedding beyond ``size``.
        notes: what a person should know although it is accepted.
    """

    size: int
    kind: Literal["equal", "padded", "added_specials"]
    teacher_surplus: int = 0
    student_surplus: int = 0
    notes: tuple[str, ...] = ()


def vocabulary_size(config: PretrainedConfig, place: str = "model") -> int:
    """Rows of the embedding of the text model, which in a vision or speech model is a part of it.

    Raises:
        BadInput: there is no text model.
    """
    size = getattr(config.get_text_config(), "vocab_size", None)
    if not isinstance(size, int):
        raise BadInput(place, "no language model: its config has no vocabulary", value=config.model_type)
    return size


def shared_vocabulary(
    teacher: PreTrainedTokenizerBase,
    student: PreTrainedTokenizerBase,
    teacher_size: int,
    student_size: int,
    templated: bool = False,
) -> SharedVocabulary:
    """Compare two tokenizers and the sizes of two embeddings.

    Args:
        teacher_size, student_size: from ``vocabulary_size``.
        templated: whether the data goes through the chat template; then another template is refused.

    Raises:
        BadInput: the ids do not mean the same, a text would get other ids, or documents end in another way.
    """
    ours, theirs = _strings(student), _strings(teacher)
    check_embedding("teacher", theirs, teacher_size)
    check_embedding("student", ours, student_size)
    _check_strings(theirs, ours)
    extra = set(theirs) ^ set(ours)
    if extra:
        _check_extra(extra, set(theirs) & set(ours), teacher, student)
    _check_behaviour(teacher, student)
    size = min(known_ids(teacher), known_ids(student), *extra)
    kind = "added_specials" if extra else "equal" if teacher_size == student_size == size else "padded"
    notes = _notes(teacher, student, templated)
    return SharedVocabulary(size, kind, teacher_size - size, student_size - size, notes)


def _strings(tokenizer: PreTrainedTokenizerBase) -> dict[int, str]:
    return {index: token for token, index in tokenizer.get_vocab().items()}


def check_embedding(who: str, strings: Collection[int], size: int) -> None:
    """Refuse, with BadInput, a tokenizer some of whose ids have no row in the embedding."""
    if strings and max(strings) >= size:
        reason = f"its tokenizer has ids up to {max(strings):,}, its embedding {size:,} rows"
        raise BadInput(who, reason, remedy="resize the embedding, or give the tokenizer it was trained with")


def _check_strings(theirs: dict[int, str], ours: dict[int, str]) -> None:
    both = theirs.keys() & ours.keys()
    other = sorted(index for index in both if theirs[index] != ours[index])
    if not other:
        return
    family = "another family of tokenizers" if 2 * len(other) > len(both) else "other ids"
    first = f"first {other[0]}: {theirs[other[0]]!r} and {ours[other[0]]!r}"
    raise BadInput(PLACE, f"{family}: {len(other):,} of {len(both):,} ids mean other strings ({first})", remedy=REMEDY)


def _check_extra(
    extra: set[int], both: set[int], teacher: PreTrainedTokenizerBase, student: PreTrainedTokenizerBase
) -> None:
    special = {
        index
        for tokenizer in (teacher, student)
        for index, token in tokenizer.added_tokens_decoder.items()
        if token.special
    }
    ordinary = extra - special
    if ordinary:
        reason = f"a superset: {len(ordinary):,} ids are known to one side only, first {min(ordinary)}"
        raise BadInput(PLACE, reason, remedy=REMEDY)
    if min(extra) < max(both, default=0):
        reason = f"a special token of one side only, id {min(extra)}, stands between shared ids"
        raise BadInput(PLACE, reason, remedy=REMEDY)


def _check_behaviour(teacher: PreTrainedTokenizerBase, student: PreTrainedTokenizerBase) -> None:
    count = known_ids(student)
    spelt = student.decode(list(range(0, count, -(-count // PROBED_IDS))), skip_special_tokens=True)
    probes = (*PROBES, spelt)
    ids = [[one(probe, add_special_tokens=False)["input_ids"] for probe in probes] for one in (teacher, student)]
    if ids[0] != ids[1]:
        raise BadInput(PLACE, "the same ids, but a text is cut into other tokens", remedy=REMEDY)
    theirs, ours = Marks.of(teacher), Marks.of(student)
    for name, one, other in (("begin", theirs.begin, ours.begin), ("end", theirs.end, ours.end)):
        if one != other:
            sides = f"{_token(teacher, one)} for the teacher and {_token(student, other)} for the student"
            raise BadInput(PLACE, f"documents {name} with {sides}", remedy=SAVE)


def _token(tokenizer: PreTrainedTokenizerBase, index: int | None) -> str:
    return "no mark" if index is None else repr(tokenizer.convert_ids_to_tokens(index))


def _notes(teacher: PreTrainedTokenizerBase, student: PreTrainedTokenizerBase, templated: bool) -> tuple[str, ...]:
    if teacher.chat_template == student.chat_template:
        return ()
    if templated:
        raise BadInput(PLACE, "they have other chat templates", remedy=SAVE)
    return ("teacher and student have other chat templates; this data uses none",)

"""What a rollout must know of the tokens: where a text ends, which ids no text holds, how words become ids."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from transformers import GenerationConfig, PreTrainedTokenizerBase


@dataclass(frozen=True)
class Language:
    """Tokens as a writer sees them.

    Attributes:
        ends: ids that end a text. The end is written and learnt; padding is told by place, so it may be the same id.
        banned: special ids that are no end: they are never written.
        padding: any id.
        begin: the mark that stands before a document, or None.
        vocabulary: ids below it are written; None for all that the writer has.
        encode: words -> ids, without marks.
    """

    ends: frozenset[int]
    banned: frozenset[int] = frozenset()
    padding: int = 0
    begin: int | None = None
    vocabulary: int | None = None
    encode: Callable[[str], Sequence[int]] = lambda words: ()

    @classmethod
    def of(
        cls,
        tokenizer: PreTrainedTokenizerBase,
        vocabulary: int | None = None,
        generation: GenerationConfig | None = None,
        begin: int | None = None,
        also: Iterable[int] = (),
    ) -> "Language":
        """As a tokenizer has it. A chat model's generation config may name more ends (the end of a turn), and so may
        the data (``also``), whose template a student from scratch learns."""
        told = [tokenizer.eos_token_id, None if generation is None else generation.eos_token_id]
        ends = {id for one in told for id in (one if isinstance(one, (list, tuple)) else [one]) if isinstance(id, int)}
        ends |= set(also)
        special = {id for id in tokenizer.all_special_ids if isinstance(id, int)}
        padding = tokenizer.pad_token_id if isinstance(tokenizer.pad_token_id, int) else min(ends, default=0)

        def encode(words: str) -> Sequence[int]:
            return tokenizer(words, add_special_tokens=False)["input_ids"]  # type: ignore[return-value]

        return cls(frozenset(ends), frozenset(special - ends), padding, begin, vocabulary, encode)

"""A tokenizer of single characters, for CTC: what stands for nothing is id 0.

Left out on purpose: pieces of words. CTC on little data needs few labels.
"""

from collections.abc import Sequence

from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

BLANK, UNKNOWN = "<blank>", "<unk>"


class Characters:
    """Lower-case letters, digits, apostrophe and space, whatever the transcripts hold; the rest is left out of a text.

    Args:
        alphabet: the characters; what a transcript has beside them is removed.
    """

    def __init__(self, alphabet: str = " 'abcdefghijklmnopqrstuvwxyz0123456789") -> None:
        self.alphabet = alphabet

    def build(self, texts: Sequence[str]) -> PreTrainedTokenizerBase:
        """The tokenizer; it does not depend on the texts, so that every share has one."""
        from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers

        vocabulary = {BLANK: 0, UNKNOWN: 1, **{one: i for i, one in enumerate(self.alphabet, 2)}}
        made = Tokenizer(models.WordLevel(vocabulary, unk_token=UNKNOWN))
        others = "".join(f"\\{one}" if one in "]\\^-" else one for one in self.alphabet)
        made.normalizer = normalizers.Sequence(
            [normalizers.NFKC(), normalizers.Lowercase(), normalizers.Replace(Regex(f"[^{others}]"), "")]
        )
        made.pre_tokenizer = pre_tokenizers.Split(Regex("."), "isolated")
        made.decoder = decoders.Fuse()
        return PreTrainedTokenizerFast(tokenizer_object=made, unk_token=UNKNOWN, pad_token=BLANK)

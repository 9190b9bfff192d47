"""A tokenizer trained on the data; and what makes two tokenizers, however they came about, the same.

Left out on purpose: loading a model's own, which belongs to the model's folder (``folders.load_tokenizer``).
"""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import tokenizers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

from distill.data.keep import kept
from distill.errors import BadInput
from distill.ranges import Count

END = "<|endoftext|>"


class TrainedBPE:
    """A byte-level BPE trained on the training documents: no text is unknown to it, no download is needed.

    ``<|endoftext|>`` is id 0 and serves as beginning, end and padding. Training has no randomness: equal documents give
    equal merges, whatever the number of threads.

    Source: Sennrich, Haddow and Birch 2016, arXiv:1508.07909; on bytes as in Radford et al. 2019 (GPT-2).

    Args:
        size: of the vocabulary at most, the 256 bytes and the end mark included; little text gives fewer tokens.

    Raises:
        BadInput: the size leaves no room for the bytes.
    """

    def __init__(self, size: Count = 1024) -> None:
        if size < 257:
            raise BadInput(
                "data.tokenizer.size", "256 bytes and one end mark need 257", value=size, remedy="use 257 or more"
            )
        self.size = size

    def build(self, texts: Sequence[str], digest: str, cache: Path | None = None) -> PreTrainedTokenizerFast:
        """Train, or take from the cache what was trained on the same.

        Args:
            texts: the training documents of the full share, so that every share has one tokenizer.
            digest: content hash of ``texts``.
            cache: a folder in which the result is kept.
        """
        key = hashlib.sha256(json.dumps([digest, self.size, END, tokenizers.__version__]).encode()).hexdigest()
        name = f"bpe-{self.size}-{key[:16]}.json"
        text = kept(cache and cache / "tokenizers", name, lambda: self._trained(texts).to_str())
        bpe = Tokenizer.from_str(text)
        return PreTrainedTokenizerFast(tokenizer_object=bpe, bos_token=END, eos_token=END, pad_token=END)

    def _trained(self, texts: Sequence[str]) -> Tokenizer:
        bpe = Tokenizer(models.BPE())
        bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        bpe.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=self.size,
            special_tokens=[END],
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        )
        bpe.train_from_iterator(texts, trainer)
        return bpe


def fingerprint(tokenizer: PreTrainedTokenizerBase) -> str:
    """sha256 of everything that changes which ids a text gets or where a document begins and ends.

    Vocabulary, merges, normaliser and added tokens; roles of the special tokens; chat template; padding side; whether a
    beginning is added. Not the folder it came from, nor the padding or truncation of its last call.
    """
    backend = json.loads(tokenizer.backend_tokenizer.to_str())  # type: ignore[attr-defined]  # only fast ones come here
    told = {key: value for key, value in backend.items() if key not in ("padding", "truncation")}
    roles = {role: str(token) for role, token in sorted(tokenizer.special_tokens_map.items())}
    rest = [roles, tokenizer.chat_template, tokenizer.padding_side, adds_beginning(tokenizer)]
    return hashlib.sha256(json.dumps([told, *rest], sort_keys=True).encode()).hexdigest()


def adds_beginning(tokenizer: PreTrainedTokenizerBase) -> bool:
    """Whether the tokenizer itself puts its beginning mark before a text."""
    if tokenizer.bos_token_id is None:
        return False
    ids = tokenizer("a")["input_ids"]
    plain = tokenizer("a", add_special_tokens=False)["input_ids"]
    return ids[:1] == [tokenizer.bos_token_id] and ids != plain  # type: ignore[index]

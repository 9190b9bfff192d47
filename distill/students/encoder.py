"""A new encoder with random weights, sized by hand: for classes, masks and sentence vectors.

Left out on purpose: encoders of pictures and sounds, and families that name these sizes differently; save such a
model's folder once and use ``pretrained``.
"""

from typing import ClassVar, Literal

from transformers import AutoConfig, PreTrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

from distill.errors import BadInput
from distill.families import AUTO, fitted
from distill.folders import known_ids
from distill.models import shape
from distill.ranges import Count, Fraction
from distill.students.student import Student
from distill.types import Family, ModelShape


class Encoder(Student):
    """A BERT-style encoder of the given sizes with the tokenizer's vocabulary, randomly initialised.

    Source: Devlin et al. 2019, BERT, arXiv:1810.04805

    Args:
        layers: L.
        width: D, of a state; a multiple of ``heads``.
        heads: H.
        intermediate: units of the feed-forward; four times the width if None.
        dropout: of states.
        attention_dropout: of the attention weights; must be 0 where a loss reads them.
        architecture: transformers' model type.
        max_positions: longest sequence; its positions are learned.
        attention: ``auto`` is eager where a loss reads attention weights, fused elsewhere.

    Raises:
        BadInput: sizes that do not divide.
    """

    families: ClassVar[frozenset[Family]] = frozenset({"classification", "masked", "encoder"})

    def __init__(
        self,
        layers: Count = 2,
        width: Count = 64,
        heads: Count = 4,
        intermediate: Count | None = None,
        dropout: Fraction = 0.0,
        attention_dropout: Fraction = 0.0,
        architecture: Literal["bert", "roberta", "electra"] = "bert",
        max_positions: Count = 256,
        attention: Literal["auto", "eager"] = "auto",
    ) -> None:
        if width % heads:
            reason = f"{heads} heads do not share it in equal parts"
            raise BadInput("student.width", reason, value=width, remedy=f"use a multiple of {heads}")
        self.layers, self.width, self.heads = layers, width, heads
        self.intermediate = 4 * width if intermediate is None else intermediate
        self.dropout, self.attention_dropout = dropout, attention_dropout
        self.architecture, self.max_positions = architecture, max_positions
        self.attention = "sdpa" if attention == "auto" else attention

    def build(self, tokenizer: PreTrainedTokenizerBase) -> PreTrainedModel:
        config = self._config(known_ids(tokenizer))
        model = AUTO[self.task.family].from_config(config, attn_implementation=self.attention)
        return model.train()

    def shape(self, vocabulary: int) -> ModelShape:
        return shape(self._config(vocabulary), self.task.family)

    def _config(self, vocabulary: int) -> PreTrainedConfig:
        told = AutoConfig.for_model(
            self.architecture,
            vocab_size=vocabulary,
            hidden_size=self.width,
            embedding_size=self.width,
            intermediate_size=self.intermediate,
            num_hidden_layers=self.layers,
            num_attention_heads=self.heads,
            max_position_embeddings=self.max_positions + (2 if self.architecture == "roberta" else 0),
            hidden_dropout_prob=self.dropout,
            attention_probs_dropout_prob=self.attention_dropout,
            classifier_dropout=self.dropout,
            initializer_range=self.width**-0.5,  # 0.02 is made for 768: a narrow one would hardly look around
            pad_token_id=1 if self.architecture == "roberta" else 0,
        )
        return fitted(told, self.task)

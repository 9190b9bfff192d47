"""A new small listener that labels every frame of a sound: for CTC.

Left out on purpose: encoders on raw waves, whose frames a data module cannot count without the model.
"""

from typing import ClassVar, Literal

from transformers import AutoModelForCTC, PreTrainedModel, PreTrainedTokenizerBase, Wav2Vec2BertConfig

from distill.errors import BadInput
from distill.folders import known_ids
from distill.models import shape
from distill.ranges import Count
from distill.students.student import Student
from distill.types import Family, ModelShape


class CTCEncoder(Student):
    """A Wav2Vec2-BERT (conformer) of the given sizes over pairs of log-mel frames, 20 ms a label; randomly initialised.

    Source: Barrault et al. 2023, Seamless (its speech encoder), https://arxiv.org/abs/2312.05187; conformers: Gulati et
        al. 2020, https://arxiv.org/abs/2005.08100.

    Args:
        layers: conformer blocks.
        width: of a state, a multiple of ``heads``.
        heads: of attention.
        mels: bands of the data's spectrogram.
        positions: how attention knows distance: by learned ``relative`` keys, as the paper has it, or ``rotary``, which
            takes 0.6 of a step's time on a CPU.

    Raises:
        BadInput: sizes that do not divide.
    """

    families: ClassVar[frozenset[Family]] = frozenset({"ctc"})

    def __init__(
        self,
        layers: Count = 2,
        width: Count = 64,
        heads: Count = 4,
        mels: Count = 80,
        positions: Literal["relative", "rotary"] = "relative",
    ) -> None:
        if width % heads:
            raise BadInput("student.width", f"is no multiple of {heads} heads", value=width)
        self.layers, self.width, self.heads, self.mels = layers, width, heads, mels
        self.positions = positions

    def build(self, tokenizer: PreTrainedTokenizerBase) -> PreTrainedModel:
        return AutoModelForCTC.from_config(self._config(known_ids(tokenizer))).train()

    def shape(self, vocabulary: int) -> ModelShape:
        return shape(self._config(vocabulary), "ctc")

    def _config(self, vocabulary: int) -> Wav2Vec2BertConfig:
        return Wav2Vec2BertConfig(
            vocab_size=vocabulary,
            hidden_size=self.width,
            num_hidden_layers=self.layers,
            num_attention_heads=self.heads,
            intermediate_size=4 * self.width,
            feature_projection_input_dim=2 * self.mels,
            hidden_dropout=0.0,
            activation_dropout=0.0,
            attention_dropout=0.0,
            feat_proj_dropout=0.0,
            final_dropout=0.0,
            layerdrop=0.0,
            conformer_conv_dropout=0.0,
            apply_spec_augment=False,
            add_adapter=False,
            position_embeddings_type="rotary" if self.positions == "rotary" else "relative_key",
            output_hidden_size=self.width,
            pad_token_id=0,
        )

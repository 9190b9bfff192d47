"""A new small captioner: a vision transformer, and a decoder that looks at it through cross-attention.

Left out on purpose: other encoders and decoders than ViT and GPT-2. Save such a pair once and use ``pretrained``.
"""

from typing import ClassVar

from transformers import (
    AutoModelForImageTextToText,
    GPT2Config,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    VisionEncoderDecoderConfig,
    ViTConfig,
)

from distill.errors import BadInput
from distill.folders import known_ids
from distill.models import shape
from distill.ranges import Count
from distill.students.student import Student
from distill.types import Family, ModelShape


class VisionDecoder(Student):
    """A ViT and a GPT-2 of the given sizes, randomly initialised.

    Source: Li et al. 2021, TrOCR, https://arxiv.org/abs/2109.10282, section 2 (a vision transformer before a text
        decoder); there, both are pretrained.

    Args:
        vision_layers, layers: of encoder and decoder.
        width: of both.
        heads: of both.
        max_positions: of the decoder.
        image_size, patch_size: pixels; None: the data's.

    Raises:
        BadInput: sizes that do not divide.
    """

    families: ClassVar[frozenset[Family]] = frozenset({"image_text"})

    def __init__(
        self,
        vision_layers: Count = 2,
        layers: Count = 2,
        width: Count = 64,
        heads: Count = 4,
        max_positions: Count = 128,
        image_size: Count | None = None,
        patch_size: Count | None = None,
    ) -> None:
        if width % heads:
            raise BadInput("student.width", f"is no multiple of {heads} heads", value=width)
        self.vision_layers, self.layers, self.width, self.heads = vision_layers, layers, width, heads
        self.max_positions, self.image_size, self.patch_size = max_positions, image_size, patch_size

    def build(self, tokenizer: PreTrainedTokenizerBase) -> PreTrainedModel:
        config = self._config(known_ids(tokenizer))
        config.decoder_start_token_id = self.task.start
        config.pad_token_id, config.eos_token_id = tokenizer.pad_token_id, tokenizer.eos_token_id
        return AutoModelForImageTextToText.from_config(config).train()

    def shape(self, vocabulary: int) -> ModelShape:
        return shape(self._config(vocabulary), "image_text")

    def _config(self, vocabulary: int) -> PreTrainedConfig:
        side, patch = self.task.picture or (None, None)
        side, patch = self.image_size or side, self.patch_size or patch
        if side is None or patch is None or side % patch:
            reason = "the picture is not filled by its patches, or nobody says how large they are"
            raise BadInput("student.image_size", reason, value=f"{side}, {patch}", remedy="set both in data")
        seen = ViTConfig(
            image_size=side,
            patch_size=patch,
            hidden_size=self.width,
            intermediate_size=4 * self.width,
            num_hidden_layers=self.vision_layers,
            num_attention_heads=self.heads,
            hidden_dropout_prob=0.0,
            attention_probs_dropout_prob=0.0,
            initializer_range=self.width**-0.5,
        )
        words = GPT2Config(
            vocab_size=vocabulary,
            n_positions=self.max_positions,
            n_embd=self.width,
            n_layer=self.layers,
            n_head=self.heads,
            resid_pdrop=0.0,
            embd_pdrop=0.0,
            attn_pdrop=0.0,
            add_cross_attention=True,
            initializer_range=self.width**-0.5,
            bos_token_id=None,
            eos_token_id=None,
        )
        return VisionEncoderDecoderConfig.from_encoder_decoder_configs(seen, words)

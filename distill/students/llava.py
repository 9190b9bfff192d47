"""A new small model that sees and speaks: a vision tower, a projector, a language model, all from scratch.

Left out on purpose: towers of other makes. Save such a model's folder once and use ``pretrained``.
"""

from typing import ClassVar

from transformers import (
    AutoModelForImageTextToText,
    CLIPVisionConfig,
    LlamaConfig,
    LlavaConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from distill.errors import BadInput
from distill.folders import known_ids
from distill.models import shape
from distill.ranges import Count
from distill.students.student import Student
from distill.types import Family, ModelShape

PICTURE = "<image>"


class Llava(Student):
    """A LLaVA of the given sizes: ViT, two-layer projector, Llama; randomly initialised.

    Source: Liu et al. 2023, Visual Instruction Tuning, https://arxiv.org/abs/2304.08485; the two-layer projector: Liu
        et al. 2023, https://arxiv.org/abs/2310.03744. There, tower and language model are pretrained.

    Args:
        image_size: pixels of the square picture; None: the data's.
        patch_size: pixels of a patch; None: the data's. The language model reads (image_size / patch_size)² of them.
        vision_layers, vision_width, vision_heads: of the tower; no layers: patches go to the projector as they are.
        layers, width, heads: of the language model.
        intermediate: units of its feed-forward; 8/3 of the width if None.
        max_positions: of picture and words together.

    Raises:
        BadInput: sizes that do not divide.
    """

    families: ClassVar[frozenset[Family]] = frozenset({"image_text"})

    def __init__(
        self,
        image_size: Count | None = None,
        patch_size: Count | None = None,
        vision_layers: Count = 2,
        vision_width: Count = 64,
        vision_heads: Count = 4,
        layers: Count = 2,
        width: Count = 64,
        heads: Count = 4,
        intermediate: Count | None = None,
        max_positions: Count = 512,
    ) -> None:
        for name, whole, part in (
            ("vision_width", vision_width, vision_heads),
            ("width", width, 2 * heads),
        ):
            if whole % part:
                raise BadInput(f"student.{name}", f"is no multiple of {part}", value=whole)
        self.image_size, self.patch_size = image_size, patch_size
        self.vision = (vision_layers, vision_width, vision_heads)
        self.words = (layers, width, heads)
        self.intermediate = -(-width * 8 // 3 // 16) * 16 if intermediate is None else intermediate
        self.max_positions = max_positions

    def build(self, tokenizer: PreTrainedTokenizerBase) -> PreTrainedModel:
        """
        Raises:
            BadInput: the tokenizer has no token for a picture.
        """
        if PICTURE not in tokenizer.get_vocab():
            raise BadInput("data.tokenizer", f"has no {PICTURE}", remedy="use data=image_text, which adds it")
        config = self._config(known_ids(tokenizer), tokenizer.get_vocab()[PICTURE])
        model = AutoModelForImageTextToText.from_config(config, attn_implementation="sdpa")
        return model.train()

    def sizes(self) -> tuple[int, int]:
        """Pixels of a picture and of a patch: its own, or the data's.

        Raises:
            BadInput: the patches do not fill the picture, or nobody says how large they are.
        """
        side, patch = self.task.picture or (None, None)
        side, patch = self.image_size or side, self.patch_size or patch
        if side is None or patch is None:
            raise BadInput("student.image_size", "is told neither by the student nor by the data", remedy="set it")
        if side % patch:
            raise BadInput("student.image_size", f"is no multiple of {patch}", value=side)
        return side, patch

    def shape(self, vocabulary: int) -> ModelShape:
        return shape(self._config(vocabulary, 0), "image_text")

    def _config(self, vocabulary: int, placeholder: int) -> LlavaConfig:
        vision_layers, vision_width, vision_heads = self.vision
        layers, width, heads = self.words
        side, patch = self.sizes()
        seen = CLIPVisionConfig(
            image_size=side,
            patch_size=patch,
            hidden_size=vision_width,
            intermediate_size=4 * vision_width,
            num_hidden_layers=vision_layers,
            num_attention_heads=vision_heads,
            projection_dim=vision_width,
        )
        words = LlamaConfig(
            vocab_size=vocabulary,
            hidden_size=width,
            intermediate_size=self.intermediate,
            num_hidden_layers=layers,
            num_attention_heads=heads,
            num_key_value_heads=heads,
            head_dim=width // heads,
            max_position_embeddings=self.max_positions,
            initializer_range=width**-0.5,  # 0.02 is for widths in the thousands: attention would be blind here
            tie_word_embeddings=False,
            bos_token_id=None,
            eos_token_id=None,
            pad_token_id=None,
        )
        made = LlavaConfig(
            vision_config=seen,
            text_config=words,
            image_token_index=placeholder,
            vision_feature_layer=-1,
            vision_feature_select_strategy="default",
            tie_word_embeddings=False,
        )
        made.update({"initializer_range": width**-0.5})  # of the projector
        return made

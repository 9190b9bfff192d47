"""How a model is shown a picture with what is asked of it, and where it answers.

Three ways: *inline*, placeholders for the picture's patches between the words (LLaVA and its kin); *cross*, a decoder
that looks at the picture through cross-attention (vision encoder–decoders); *text*, a description instead of the
picture, for a language model that has no eyes. Teacher and student may each have their own: that is what makes
distillation cross-modal. Left out on purpose: several pictures in a sample, and cropping (a picture is resized).
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from distill.data.source import Decoder
from distill.errors import BadInput

Layout = Literal["inline", "cross", "text"]
HALF = (0.5, 0.5, 0.5)
PIXELS = 64_000_000
"""Of a picture at most: what is larger is a mistake or a bomb."""


@dataclass(frozen=True)
class Shown:
    """A sample, tokenised.

    Attributes:
        content: the encoded picture, or where it lies.
        before, after: ids of the prompt before and behind the picture.
        described: ids of the prompt with the description in the picture's place.
        answer: ids, the end mark last.
        hash: sha256 of the picture and of every id.
        texts: what a person wrote, by role: question, answer, kind, description.
        place: for messages.
    """

    content: bytes | Path
    before: tuple[int, ...]
    after: tuple[int, ...]
    described: tuple[int, ...]
    answer: tuple[int, ...]
    hash: str
    texts: dict[str, str]
    place: str = ""


@dataclass(frozen=True)
class View:
    """One model's way to look.

    Attributes:
        layout: see the head of this module.
        side: pixels of the square picture.
        patches: placeholders that stand for it, inline.
        placeholder: their id.
        start: what the decoder begins with, cross.
        padding: any id will do.
        mean, std: of the pixels in [0, 1], by channel.
    """

    layout: Layout
    side: int = 0
    patches: int = 0
    placeholder: int = 0
    start: int = 0
    padding: int = 0
    mean: tuple[float, float, float] = HALF
    std: tuple[float, float, float] = HALF

    def prefix(self, sample: Shown) -> list[int]:
        """What stands before the answer; never empty."""
        if self.layout == "text":
            return list(sample.described)
        if self.layout == "cross":
            return [self.start, *sample.before, *sample.after]
        return [*sample.before, *[self.placeholder] * self.patches, *sample.after]

    def length(self, sample: Shown) -> int:
        """Positions that the sample takes."""
        return len(self.prefix(sample)) + len(sample.answer) - 1

    def laid(self, samples: Sequence[Shown]) -> tuple[dict[str, Tensor], Tensor]:
        """Samples as what a model is given, padded on the right, and (N,) where each answer's token is predicted."""
        rows = [(self.prefix(one), list(one.answer[:-1])) for one in samples]
        width = max(len(before) + len(after) for before, after in rows)
        ids = torch.full((len(rows), width), self.padding)  # (B, S)
        mask = torch.zeros(len(rows), width, dtype=torch.int64)
        positions: list[int] = []
        for b, (before, after) in enumerate(rows):
            whole = before + after
            ids[b, : len(whole)], mask[b, : len(whole)] = torch.tensor(whole), 1
            first = b * width + len(before) - 1
            positions += range(first, first + len(after) + 1)
        return self._inputs(samples, ids, mask), torch.tensor(positions)

    def asked(self, samples: Sequence[Shown]) -> dict[str, Tensor]:
        """The prompts alone, of samples whose prompts are of one length: what a model answers to."""
        ids = torch.tensor([self.prefix(one) for one in samples])  # (B, S)
        return self._inputs(samples, ids, torch.ones_like(ids))

    def _inputs(self, samples: Sequence[Shown], ids: Tensor, mask: Tensor) -> dict[str, Tensor]:
        if self.layout == "text":
            return {"input_ids": ids, "attention_mask": mask}
        pixels = torch.stack([self.pixels(one.content, one.place) for one in samples])  # (B, 3, side, side)
        if self.layout == "cross":
            return {"pixel_values": pixels, "decoder_input_ids": ids}
        return {"pixel_values": pixels, "input_ids": ids, "attention_mask": mask}

    def pixels(self, content: bytes | Path, place: str = "") -> Tensor:
        """(3, side, side) float32.

        Raises:
            BadInput: the file changed since it was read.
        """
        try:
            return _pixels(content, self.side, self.mean, self.std)
        except (OSError, ValueError, SyntaxError) as problem:
            raise BadInput(place or str(content)[:80], f"cannot be decoded any more ({problem})") from problem


class Pictures(Decoder):
    """Whether bytes are a picture; it is decoded whole, so that one that is cut off is found."""

    def __call__(self, content: bytes) -> Any:
        from PIL import Image, UnidentifiedImageError

        try:
            opened = Image.open(io.BytesIO(content))
        except UnidentifiedImageError:
            raise ValueError("no picture that Pillow knows") from None
        with opened:
            if opened.width * opened.height > PIXELS:
                raise ValueError(f"{opened.width} × {opened.height} pixels are more than {PIXELS:,}")
            return flat(opened)


def flat(picture: Any) -> Any:
    """RGB; what is transparent is white, as on a page."""
    from PIL import Image

    if picture.mode in ("RGBA", "LA", "PA") or "transparency" in picture.info:
        whole = picture.convert("RGBA")
        page = Image.new("RGBA", whole.size, "white")
        return Image.alpha_composite(page, whole).convert("RGB")
    return picture.convert("RGB")


@lru_cache(maxsize=8192)
def _pixels(content: bytes | Path, side: int, mean: tuple[float, ...], std: tuple[float, ...]) -> Tensor:
    """The cache keeps some hundred megabytes at most: 8,192 pictures of 64 × 64 are 400 MB, larger ones are cut."""
    from PIL import Image

    whole = Pictures()(content if isinstance(content, bytes) else content.read_bytes())
    sized = whole if whole.size == (side, side) else whole.resize((side, side), Image.Resampling.BILINEAR)
    values = np.asarray(sized, dtype=np.float32) / 255  # (side, side, 3)
    centre, spread = (np.asarray(one, dtype=np.float32) for one in (mean, std))
    return torch.from_numpy(((values - centre) / spread).transpose(2, 0, 1).copy())


def view_of(config: Any, placeholder: int, padding: int, normal: tuple[Any, Any] = (HALF, HALF)) -> View:
    """How a model wants to be shown a sample, told by its config.

    Args:
        placeholder: id of the picture's token in the tokenizer, where the config does not say another.
        normal: (mean, std) by channel.

    Raises:
        BadInput: a model with eyes whose sizes are not told.
    """
    seen = getattr(config, "vision_config", None)
    if config.is_encoder_decoder and hasattr(config, "encoder"):  # a pair of two models
        start = config.decoder_start_token_id
        return View(
            "cross", side=_side(config.encoder), start=start or 0, padding=padding, mean=normal[0], std=normal[1]
        )
    if seen is None:
        return View("text", padding=padding)
    patches = (_side(seen) // seen.patch_size) ** 2
    if getattr(config, "vision_feature_select_strategy", "default") == "full" and seen.model_type.startswith("clip"):
        patches += 1  # the class token stays
    own = getattr(config, "image_token_id", None)
    own = placeholder if own is None else own
    return View("inline", _side(seen), patches, own, padding=padding, mean=normal[0], std=normal[1])


def _side(config: Any) -> int:
    size = getattr(config, "image_size", None)
    if not isinstance(size, int):
        raise BadInput(f"model {config.model_type}", "does not say the size of its pictures", value=size)
    return size

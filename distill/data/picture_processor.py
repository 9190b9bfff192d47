"""What lies beside the weights of a model that sees: its tokenizer, and how pictures become its pixels.

Written as transformers' own ``preprocessor_config.json`` has it, so that others load it; read back only for the mean
and standard deviation of a teacher's pixels. Left out on purpose: cropping, which a square resize replaces.
"""

import json
from pathlib import Path
from typing import Any

from transformers import PreTrainedTokenizerBase

from distill.data.views import HALF, View
from distill.errors import BadInput

NAME = "preprocessor_config.json"


class PictureProcessor:
    """A tokenizer and a way to look.

    Args:
        tokenizer: of the answers.
        view: whose pixels they are.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, view: View) -> None:
        self.tokenizer, self.view = tokenizer, view

    def save_pretrained(self, save_directory: Any) -> Any:
        """Both, into a model's folder."""
        if self.view.layout != "text":
            told = {
                "image_processor_type": "ViTImageProcessor",
                "do_resize": True,
                "size": {"height": self.view.side, "width": self.view.side},
                "resample": 2,
                "do_rescale": True,
                "rescale_factor": 1 / 255,
                "do_normalize": True,
                "image_mean": list(self.view.mean),
                "image_std": list(self.view.std),
            }
            place = Path(save_directory) / NAME
            place.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
        return self.tokenizer.save_pretrained(save_directory)


def normal_of(folder: str) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
    """(mean, std) by channel, of a model's folder; a half each where it does not say.

    Raises:
        BadInput: the file is there and says something else.
    """
    place = Path(folder) / NAME
    if not place.is_file():
        return HALF, HALF
    try:
        told = json.loads(place.read_text(encoding="utf-8"))
        mean, std = (tuple(float(one) for one in told.get(key) or HALF) for key in ("image_mean", "image_std"))
    except (OSError, ValueError, TypeError, AttributeError) as problem:
        raise BadInput(str(place), f"says no mean and deviation of pixels ({problem})") from problem
    if len(mean) != 3 or len(std) != 3:
        raise BadInput(str(place), "has not three channels", value=len(mean))
    return (mean[0], mean[1], mean[2]), (std[0], std[1], std[2])

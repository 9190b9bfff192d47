"""What each subject writes after the same beginnings: for the eye, not a number."""

from collections.abc import Sequence

import torch

from distill.data.prompts import Prompt
from distill.evaluation.decoding import written
from distill.evaluation.subject import Subject
from distill.ranges import Count


class Continuations:
    """Greedy continuations of beginnings of held-out documents, the same for every subject.

    Args:
        prompts: how many beginnings.
        new_tokens: written at most; fewer where the model ends the text or has no more positions.
    """

    def __init__(self, prompts: Count = 3, new_tokens: Count = 40) -> None:
        self.prompts, self.new_tokens = prompts, new_tokens

    def texts(self, subjects: Sequence[Subject], prompts: Sequence[Prompt]) -> list[dict[str, str]]:
        """One ``{"subject", "prompt", "text"}`` for each subject and beginning: lines of ``samples.jsonl``."""
        return [
            {"subject": subject.name, "prompt": prompt.text, "text": self._text(subject, prompt)}
            for prompt in prompts[: self.prompts]
            for subject in subjects
        ]

    def _text(self, subject: Subject, prompt: Prompt) -> str:
        own = subject.tokenizer(prompt.text)["input_ids"] if subject.taught else prompt.ids
        ids = torch.tensor([own], device=subject.model.device)  # (1, S)
        config = subject.model.config.get_text_config(decoder=True)
        longest = getattr(config, "max_position_embeddings", None) or ids.shape[1] + self.new_tokens
        length = min(self.new_tokens, longest - ids.shape[1])
        if length < 1:
            return ""
        end = subject.tokenizer.eos_token_id
        found = written(subject, ids, length, end if isinstance(end, int) else None)
        return str(subject.tokenizer.decode(found, skip_special_tokens=True))

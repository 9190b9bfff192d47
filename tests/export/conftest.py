"""Students whose words are sharp enough that a likeliest token means something, and texts to re-check files on."""

import pytest
import torch

from distill.evaluation.subject import Subject
from distill.types import Batch


@pytest.fixture(scope="session")
def sharp(tiny_llama, tokenizer):
    """``sharp(**sizes)`` -> a Subject with a random model of peaked answers; 300 ids are known."""

    def make(vocabulary=300, name="student", step=7, **sizes) -> Subject:
        model = tiny_llama(vocabulary=vocabulary, **{"width": 32, **sizes}).eval()
        with torch.no_grad():
            model.get_input_embeddings().weight.mul_(25.0)
            if not model.config.tie_word_embeddings:
                model.get_output_embeddings().weight.mul_(25.0)
        return Subject(name, model, tokenizer, 300, step=step)

    return make


@pytest.fixture
def held_out() -> list[Batch]:
    """Two batches of 2 rows: 12 positions, two packed samples of 5 and 6 targets a row."""
    made = []
    for n in range(2):
        ids = torch.randint(1, 300, (2, 12), generator=torch.Generator().manual_seed(n))
        starts = torch.tensor([*range(5), *range(6), 0])
        place = torch.tensor([[b * 12 + s for s in range(11)] for b in range(2)]).flatten()
        targets = torch.randint(0, 300, (22,), generator=torch.Generator().manual_seed(n + 9))
        owners = torch.tensor([0] * 5 + [1] * 6 + [2] * 5 + [3] * 6)
        inputs = {"input_ids": ids, "position_ids": starts.repeat(2, 1)}
        samples = tuple(f"{n}{i}" for i in range(4))
        made.append(Batch(inputs, inputs, place, place, targets, owners, samples, bytes=50))
    return made

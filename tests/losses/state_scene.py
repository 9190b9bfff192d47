"""Two tiny real models before the same text, packed or laid out as one likes, for losses between their states."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from transformers import AutoModelForCausalLM, LlamaConfig, PreTrainedModel

from distill.losses.loss import Loss, StateLoss
from distill.losses.objective import Objective
from distill.models import answer, shape
from distill.signals.hidden import Hidden
from distill.types import Batch, Outputs, Signal, Weighed
from tests.losses.naive_pass import NOW, composed, losses_of_text

LENGTHS = (5, 1, 7, 3, 4, 6)
"""Of the documents; with one of a single token, and all but two begin with a token that nothing supervises."""
PACKED = ((0, 1, 2), (3, 4, 5))
"""Which documents share a row."""


def state_losses() -> list[str]:
    """Those that are evaluated beside the pass."""
    return [name for name in losses_of_text() if isinstance(composed("loss", name), StateLoss)]


def document(index: int) -> Tensor:
    """(n,) ids of a document."""
    return torch.randint(1, 50, (LENGTHS[index],), generator=torch.Generator().manual_seed(index))


def batch_of(rows: Sequence[Sequence[int]], padding: int = 0, packed: bool = True) -> Batch:
    """Documents in rows, as ``data/collate.py`` lays them: position ids that begin again, or one each and a mask."""
    width = max(sum(LENGTHS[index] for index in row) for row in rows) + padding
    ids, places = torch.zeros(len(rows), width, dtype=torch.long), torch.arange(width).repeat(len(rows), 1)
    mask, positions, owners, samples = torch.zeros_like(ids), [], [], []
    for b, row in enumerate(rows):
        start = 0
        for index in row:
            text = document(index)
            ids[b, start : start + len(text)] = text
            mask[b, start : start + len(text)] = 1
            places[b, start:] = torch.arange(width - start)
            first = start + (index % 3 == 0)
            positions += list(range(b * width + first, b * width + start + len(text)))
            owners += [len(samples)] * (start + len(text) - first)
            samples.append(f"{index:064x}")
            start += len(text)
        places[b, start:] = torch.arange(width - start)
    inputs = {"input_ids": ids, "position_ids": places} if packed else {"input_ids": ids, "attention_mask": mask}
    where = torch.tensor(positions)
    targets, whose = ids.flatten()[where], torch.tensor(owners)
    index = torch.tensor([int(sample, 16) for sample in samples])[whose]  # as if models had written them, in turns
    labels = {"writers": 1 + index % 2, "behaviour": -3.0 - 0.1 * (targets % 7)}
    return Batch(inputs, inputs, where, where, targets, whose, tuple(samples), labels=labels)


def model(layers: int, width: int, heads: int, kv_heads: int, seed: int) -> PreTrainedModel:
    """A Llama whose weights are far from zero, computing its attention in the open."""
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=50,
        hidden_size=width,
        intermediate_size=2 * width,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=kv_heads,
        max_position_embeddings=64,
        pad_token_id=None,
    )
    made = AutoModelForCausalLM.from_config(config, attn_implementation="eager")
    for parameter in made.parameters():
        parameter.data.normal_(0, 0.3)
    return made


@dataclass
class Pair:
    """A student and a teacher: other depth, other width, grouped queries in the teacher."""

    student: PreTrainedModel
    teacher: PreTrainedModel

    @classmethod
    def made(cls, seed: int = 0) -> "Pair":
        return cls(model(2, 16, 4, 4, seed), model(3, 32, 4, 2, seed + 1).requires_grad_(False))

    def prepared(self, loss: Loss) -> Loss:
        torch.manual_seed(7)
        loss.prepare(shape(self.student), shape(self.teacher))
        return loss

    def answers(self, loss: Loss, batch: Batch) -> tuple[Outputs, Signal]:
        """As a training step gets them."""
        outputs = answer(self.student, batch.inputs, batch.positions, loss.request)
        with torch.no_grad():
            told = answer(self.teacher, batch.teacher_inputs, batch.teacher_positions, loss.teacher_request)
        return outputs, Hidden(told.hidden, told.head, told)

    def value(self, loss: Loss, batch: Batch) -> Tensor:
        """(N,)."""
        outputs, signal = self.answers(loss, batch)
        return loss(outputs, signal, batch)

    def weighed(self, objective: Objective, batch: Batch) -> Weighed:
        outputs = answer(self.student, batch.inputs, batch.positions, objective.request)
        with torch.no_grad():
            told = answer(self.teacher, batch.teacher_inputs, batch.teacher_positions, objective.teacher_request)
        return objective(outputs, Hidden(told.hidden, told.head, told), batch, NOW)


def slopes(total: Tensor, *modules: nn.Module) -> Tensor:
    """All gradients of a total, flat, zeros where nothing depends on a parameter."""
    parameters = [p for module in modules for p in module.parameters() if p.requires_grad]
    found = torch.autograd.grad(total, parameters, allow_unused=True)
    return torch.cat(
        [torch.zeros(p.numel()) if g is None else g.flatten() for p, g in zip(parameters, found, strict=True)]
    )


def other_tokens(batch: Batch) -> Batch:
    """The teacher is shown other tokens at the same positions."""
    return replace(batch, teacher_inputs={**batch.teacher_inputs, "input_ids": batch.inputs["input_ids"] + 1})

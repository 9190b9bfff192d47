"""Show a teacher more than the student sees: the same samples behind a prompt of the teacher's own.

Each sample gets a row to itself, padded on the right, so that nothing depends on how a model keeps packed pieces apart.
Left out on purpose: a context of each sample's own (a solution, a demonstration). That is data's to give, in
``teacher_inputs``, which are what is read here.
"""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from distill.teachers.samples import samples
from distill.types import Batch


def prompted(batch: Batch, prompt: Sequence[int], begin: int | None) -> Batch:
    """The batch as a teacher reads it behind a prompt; itself if the prompt is empty.

    A sample that begins with the beginning mark keeps it in front: mark, prompt, text; what followed the mark is then
    predicted from the prompt's last token. Any other sample stands behind mark and prompt.

    Args:
        batch: of a causal model's text.
        prompt: ids.
        begin: the beginning mark, or None if documents have none.
    """
    if not prompt:
        return batch
    rows: list[Tensor] = []
    places: list[Tensor] = []
    head = torch.tensor([] if begin is None else [begin], dtype=torch.long)
    context = torch.tensor(list(prompt), dtype=torch.long)
    ids = batch.teacher_inputs["input_ids"].cpu().flatten()
    positions = batch.teacher_positions.cpu()
    for one in samples(batch):
        own = positions[one.span.start : one.span.stop] - one.begin
        text = ids[one.begin : one.begin + int(own[-1]) + 1]
        marked = begin is not None and int(text[0]) == begin
        rows.append(torch.cat([head, context, text[1:] if marked else text]))
        places.append(own + len(rows[-1]) - len(text))
    return _laid(batch, rows, places)


def _laid(batch: Batch, rows: Sequence[Tensor], places: Sequence[Tensor]) -> Batch:
    device = batch.teacher_positions.device
    width = max(len(row) for row in rows)
    laid = torch.zeros(len(rows), width, dtype=torch.long)  # (B, S)
    mask = torch.zeros(len(rows), width, dtype=torch.long)
    for b, row in enumerate(rows):
        laid[b, : len(row)] = row
        mask[b, : len(row)] = 1
    positions = torch.cat([b * width + own for b, own in enumerate(places)])
    inputs = {"input_ids": laid.to(device), "attention_mask": mask.to(device)}
    return replace(batch, teacher_inputs=inputs, teacher_positions=positions.to(device))

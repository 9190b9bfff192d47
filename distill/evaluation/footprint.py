"""What a model takes: weights, disk, memory."""

from collections.abc import Mapping, Sequence

import torch
from transformers import PreTrainedModel

from distill.evaluation.decoding import Writer
from distill.evaluation.measure import Measured, ModelMeasure
from distill.evaluation.memory import PeakMemory
from distill.evaluation.subject import File, Subject
from distill.families import named_family
from distill.models import shape
from distill.ranges import Count

MIB = 2**20


class Footprint(ModelMeasure):
    """Parameters, bytes on disk, and the memory that loading, reading a prompt and writing on need.

    ``parameters`` counts a tied matrix once; ``embedding_parameters`` is the input embedding. ``disk_bytes`` is the
    sum of its folder's safetensors files, without tokenizer and config; left out for a model without a folder.
    ``peak_memory`` is the weights and buffers as they are loaded plus the largest sum of tensors alive at once while
    one prompt is read with the cache, the head at its last position only; ``memory.PeakMemory`` says what that counts
    and what it does not. ``memory_loaded`` is the weights and buffers alone, ``memory_decode`` they, the cache of that
    prompt, and the most that is alive while one more token is read. Of an exported file ``disk_bytes`` are its own, and
    ``resident_memory`` is what a process of its own holds that loads it and reads the prompt.

    Args:
        tokens: of the prompt; fewer if the model has fewer positions.
    """

    def __init__(self, tokens: Count = 256) -> None:
        self.tokens = tokens

    def measure(self, subjects: Sequence[Subject]) -> Mapping[str, list[Measured]]:
        return {subject.name: self._rows(subject) for subject in subjects}

    def _rows(self, subject: Subject) -> list[Measured]:
        if subject.file is not None:
            return _of_file(subject.file, prompt(subject, self.tokens).shape[1])
        sizes = shape(subject.model)
        weights = weight_bytes(subject.model)
        rows = [
            Measured("parameters", sizes.parameters, "count"),
            Measured("embedding_parameters", sizes.embedding_parameters, "count"),
            Measured("memory_loaded", weights / MIB, "MiB"),
        ]
        if named_family(subject.model) in ("causal", None):
            ids = prompt(subject, self.tokens)
            prefill, decode = _peaks(subject, ids)
            rows += [
                Measured("peak_memory", (weights + prefill) / MIB, "MiB", ids.shape[1]),
                Measured("memory_decode", (weights + decode) / MIB, "MiB", ids.shape[1]),
            ]
        files = [] if subject.folder is None else list(subject.folder.glob("*.safetensors"))
        if files:
            rows.append(Measured("disk_bytes", sum(file.stat().st_size for file in files), "bytes", len(files)))
        return rows


def _of_file(file: File, tokens: int) -> list[Measured]:
    told = file.resident(tokens)
    rows = [Measured("disk_bytes", file.bytes, "bytes")]
    return rows + ([] if told is None else [Measured("resident_memory", told / MIB, "MiB", tokens)])


def prompt(subject: Subject, tokens: int) -> torch.Tensor:
    """(1, S) ids spread over the vocabulary, no more than the model has positions."""
    longest = getattr(subject.model.config.get_text_config(decoder=True), "max_position_embeddings", None) or tokens
    places = torch.arange(min(tokens, longest), device=subject.model.device)
    return (places * 7919 + 1)[None] % subject.vocabulary


def weight_bytes(model: PreTrainedModel) -> int:
    """Bytes of all weights and buffers, each storage once."""
    storages = {tensor.untyped_storage() for tensor in (*model.parameters(), *model.buffers())}
    return sum(storage.nbytes() for storage in {storage._cdata: storage for storage in storages}.values())


def _peaks(subject: Subject, ids: torch.Tensor) -> tuple[int, int]:
    """Bytes beyond the weights while the prompt is read, and while its last token is read after all before it."""
    Writer(subject).read(ids[:, :2])  # what is made once, at the first call, is no part of it
    writer = Writer(subject)
    with PeakMemory() as whole:
        writer.read(ids)
    writer = Writer(subject)
    with PeakMemory() as memory:
        if ids.shape[1] > 1:
            writer.read(ids[:, :-1])
        memory.peak = memory.bytes  # the cache; what reading the prompt took is past
        writer.read(ids[:, -1:])
    return whole.peak, memory.peak

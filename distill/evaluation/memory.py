"""How much memory the tensors of a computation need at most.

Counted by the dispatcher: every storage an operator returns is added when it appears and taken off when it dies. So
it is the same on every machine and in every run, costs no process of its own, and is exact for what it counts. What
it does not count: weights (they are there before), scratch space inside a kernel, the allocator's slack, the
interpreter and its libraries (about 0.5 GiB of resident memory for torch and transformers).

Left out on purpose: the resident set (``psutil``), which on a CPU tells more of the allocator and of what ran before
than of the model.
"""

import weakref
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter


class PeakMemory(TorchDispatchMode):
    """Within, ``peak`` is the largest number of bytes of new storages that were alive at once."""

    def __init__(self) -> None:
        super().__init__()
        self.alive: dict[int, int] = {}
        self.bytes = self.peak = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        known = {tensor.untyped_storage()._cdata for tensor in tree_iter((args, kwargs)) if _is_tensor(tensor)}
        result = func(*args, **(kwargs or {}))
        for tensor in tree_iter(result):
            if _is_tensor(tensor):
                storage = tensor.untyped_storage()
                if storage._cdata not in known and storage._cdata not in self.alive:
                    self._born(storage)
        return result

    def _born(self, storage: torch.UntypedStorage) -> None:
        key, size = storage._cdata, storage.nbytes()
        self.alive[key] = size
        self.bytes += size
        self.peak = max(self.peak, self.bytes)
        weakref.finalize(storage, self._dead, key)

    def _dead(self, key: int) -> None:
        self.bytes -= self.alive.pop(key)


def _is_tensor(value: Any) -> bool:
    return isinstance(value, torch.Tensor)

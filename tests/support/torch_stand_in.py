"""The part of torch that the loader uses, with processes for workers: torch itself is too large.

As torch's `DataLoader` with `batch_size=None` over an `IterableDataset`: worker w yields what its
copy of the data set does, and the batches are taken from the workers in turn.
"""

import multiprocessing
from collections.abc import Iterator
from dataclasses import dataclass
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np

from eta_data import DataError


@dataclass
class _Info:
    id: int
    num_workers: int


_worker: _Info | None = None


class IterableDataset:
    """See torch."""


class Tensor:
    """A tensor as far as tests look at it; refuses what torch refuses or warns of."""

    def __init__(self, array: np.ndarray) -> None:
        assert array.dtype.kind in "biuf"
        assert array.flags.writeable
        self.array = array


class DataLoader:
    """See the module."""

    def __init__(self, dataset: Any, *, batch_size: None, num_workers: int) -> None:
        assert isinstance(dataset, IterableDataset)
        assert batch_size is None
        self.dataset = dataset
        self.workers = num_workers

    def __iter__(self) -> Iterator[Any]:
        if not self.workers:
            yield from self.dataset
            return
        context = multiprocessing.get_context("fork")
        queues = [context.Queue(2) for _ in range(self.workers)]
        processes = [
            context.Process(target=_work, args=(self.dataset, _Info(n, self.workers), queue))
            for n, queue in enumerate(queues)
        ]
        for process in processes:
            process.start()
        try:
            for step in range(1 << 62):
                kind, found = queues[step % self.workers].get(timeout=60)
                if kind == "end":
                    return
                if kind == "error":
                    raise found
                yield found
        finally:
            for process in processes:
                process.terminate()
                process.join()


def _work(dataset: Any, info: _Info, queue: Any) -> None:
    global _worker
    _worker = info
    try:
        for found in dataset:
            queue.put(("batch", found))
        queue.put(("end", None))
    except DataError as error:
        queue.put(("error", error))


def module() -> ModuleType:
    """A module to stand in for torch."""
    torch = ModuleType("torch")
    torch.from_numpy = Tensor  # type: ignore[attr-defined]
    data = SimpleNamespace(
        IterableDataset=IterableDataset, DataLoader=DataLoader, get_worker_info=lambda: _worker
    )
    torch.utils = SimpleNamespace(data=data)  # type: ignore[attr-defined]
    return torch

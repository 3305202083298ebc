"""A torch `DataLoader` with worker processes that keeps the order and can resume."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Generic, Protocol, TypeVar

from eta_data.errors import DataError
from eta_data.given import whole
from eta_data.loader import Loader

Batch = TypeVar("Batch")


class _Torch(Protocol):
    """What is used of the module torch."""

    utils: Any


class DataLoader(Generic[Batch]):
    """Reads a loader's batches in worker processes of torch, in the loader's order.

    Iterating yields the rest of the epoch; `state_dict` says what this process was handed, not what
    workers have read ahead. Each worker holds the windows of the streams it reads.
    """

    def __init__(self, loader: Loader[Batch], workers: int, options: Mapping[str, Any]) -> None:
        workers = whole("workers", workers, 0)
        if taken := {"batch_size", "shuffle", "sampler", "num_workers", "dataset"} & set(options):
            raise DataError(
                f"{', '.join(sorted(taken))} of torch's DataLoader is decided here",
                remedy="give batch_size to `torch` and workers to `data_loader`, leave it out here",
            )
        self._loader = loader
        self._workers = workers
        self._options = dict(options)

    def __len__(self) -> int:
        """Return how many batches are left in this epoch."""
        return len(self._loader)

    def __iter__(self) -> Iterator[Batch]:
        """Yield this rank's batches to the end of the epoch."""
        import torch

        for batch in _of_torch(torch, self._loader, self._workers, self._options):
            self._loader.advance()
            yield batch
        self._loader.end_epoch()

    def set_epoch(self, epoch: int) -> None:
        """See `Loader.set_epoch`."""
        self._loader.set_epoch(epoch)

    def state_dict(self) -> dict[str, Any]:
        """See `Loader.state_dict`."""
        return self._loader.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """See `Loader.load_state_dict`."""
        self._loader.load_state_dict(state)


def data_loader(loader: Loader[Batch], workers: int = 0, **options: Any) -> DataLoader[Batch]:
    """Return a torch `DataLoader` over a loader, with so many worker processes.

    `options` are torch's: `pin_memory`, `prefetch_factor`, `multiprocessing_context`, … Needs it.
    """
    return DataLoader(loader, workers, options)


def _of_torch(
    torch: _Torch, loader: Loader[Batch], workers: int, options: Mapping[str, Any]
) -> Any:
    data = torch.utils.data
    iterable: Any = data.IterableDataset

    class Shares(iterable):  # type: ignore[misc]
        """What each worker reads."""

        def __init__(self, shared: Loader[Any]) -> None:
            self.shared = shared

        def __iter__(self) -> Iterator[Any]:
            worker = data.get_worker_info()
            place = (0, 1) if worker is None else (worker.id, worker.num_workers)
            return self.shared.share(*place)

    return data.DataLoader(Shares(loader), batch_size=None, num_workers=workers, **options)

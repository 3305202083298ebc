"""A bounded, ordered map over threads: what makes two cores work on one file."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def map_in_order(work: Callable[[T], R], items: Iterable[T], parallel: int) -> Iterator[R]:
    """Yield `work(item)` in the order of `items`, at most `parallel` of them running ahead.

    The first error in the order of the items is raised, be it from `items` or from `work`; work
    that was begun is finished first. With `parallel` 0 it is an ordinary map, in this thread.
    """
    if not parallel:
        yield from map(work, items)
        return
    source = iter(items)
    pending: deque[Future[R]] = deque()
    with ThreadPoolExecutor(parallel, thread_name_prefix="validate") as pool:
        fault: Exception | None = None
        while True:
            try:
                item = next(source)
            except StopIteration:
                break
            except Exception as error:  # noqa: BLE001 - raised below, in its turn
                fault = error
                break
            pending.append(pool.submit(work, item))
            if len(pending) > parallel:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
        if fault is not None:
            raise fault

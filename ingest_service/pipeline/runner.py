"""Runs a batch of one tenant through the pipeline, from its turn to its commit."""

from collections.abc import Callable
from functools import partial
from typing import Final

from ingest_service.dedupe.turns import Turn
from ingest_service.dedupe.window import BatchSession, DedupeWindows, History
from ingest_service.pipeline.batch import BatchPipeline
from ingest_service.sinks.base import BatchKey, OutdatedError, Sink
from ingest_service.sinks.dry import DryBatch
from lakehouse.contracts.tenant import DataType
from lakehouse.errors import EtaError
from lakehouse.privacy.suppression import SuppressionList, is_unchanged

MAX_ATTEMPTS: Final = 5


class StartOverError(Exception):
    """Nothing of the attempt is stored; the rows are to be read once more."""


class BatchRunner:
    """Runs batches; for several threads. Those of one tenant and data type run one at a time."""

    def __init__(
        self, sink: Sink, history: History, windows: DedupeWindows, suppression: SuppressionList
    ) -> None:
        self.sink = sink
        self.windows = windows
        self._history = history
        self._suppression = suppression

    def run(
        self,
        tenant_id: str,
        data_type: DataType,
        new_key: Callable[[], BatchKey],
        read: Callable[[BatchPipeline], bool],
        turn: Turn | None = None,
        *,
        is_dry: bool = False,
    ) -> None:
        """Have `read` take rows through a pipeline, and commit them if it returns true.

        When this returns after that, the batch is durable: by this attempt, or by another one at
        the same id. When somebody was erased meanwhile, another replay had the same number, or
        `read` raises `StartOverError`, all of it is done again; after any other error nothing is
        stored. With a `turn` that has come the call waits for no other batch of the tenant.
        """
        events = turn.events if turn else self.windows.of(tenant_id, data_type)
        with events.batch(self._history, tenant_id, data_type, turn) as session:
            for _ in range(MAX_ATTEMPTS):
                try:
                    self._attempt(tenant_id, session, new_key, read, is_dry=is_dry)
                except (OutdatedError, StartOverError):
                    continue
                return
        raise EtaError(
            "the list of erased people, or other replays of the same rows, kept changing what "
            "was read",
            remedy="send the rows, or begin the replay, again in a few minutes",
        )

    def _attempt(
        self,
        tenant_id: str,
        session: BatchSession,
        new_key: Callable[[], BatchKey],
        read: Callable[[BatchPipeline], bool],
        *,
        is_dry: bool,
    ) -> None:
        suppressed = self._suppression.current(tenant_id)
        is_current = partial(is_unchanged, self._suppression, tenant_id, suppressed)
        key, window = new_key(), session.start()
        output = DryBatch() if is_dry else self.sink.begin(key)
        batch = BatchPipeline(key, window, suppressed, output)
        try:
            if not read(batch):
                output.abort()
                return
            is_stored = output.commit(batch.counts, is_current)
        except BaseException:
            output.abort()
            raise
        if is_stored:
            session.publish(window, key.commit_id, batch.counts.stored)
        elif key.replay:
            raise StartOverError

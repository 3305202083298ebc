"""A batch that stores nothing: for uploads that only ask what would happen."""

from collections.abc import Callable

import pyarrow as pa

from ingest_service.pipeline.counts import Counts
from ingest_service.sinks.base import always


class DryBatch:
    """Takes everything and keeps nothing."""

    is_committed = False

    def append(self, rows: pa.Table) -> None:
        """Drop rows for the raw table."""

    def append_companion(self, rows: pa.Table) -> None:
        """Drop rows for the quarantine, and outcomes of a replay."""

    def commit(self, counts: Counts, is_current: Callable[[], bool] = always) -> bool:  # noqa: ARG002
        """Store nothing."""
        return False

    def abort(self) -> None:
        """Do nothing."""

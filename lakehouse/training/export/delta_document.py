"""`delta.json`: which snapshot a delta begins at, which it ends at, and what it holds."""

from __future__ import annotations

from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from lakehouse.training.manifest import Manifest

DELTA: Final = "delta.json"
ADDED: Final = "added"
CHANGED: Final = "changed"
REMOVED: Final = "removed"
KINDS: Final = (ADDED, CHANGED, REMOVED)
"""The folders of a delta, which say what became of the rows in them."""


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class NamedSnapshot(_Model):
    """A snapshot that a delta begins or ends at."""

    snapshot_id: str
    content_hash: str
    rows: int = Field(ge=0)

    @classmethod
    def of(cls, manifest: Manifest) -> NamedSnapshot:
        """Return what a delta says of a snapshot."""
        return cls(
            snapshot_id=manifest.snapshot_id,
            content_hash=manifest.content_hash,
            rows=manifest.row_count,
        )


class Counts(_Model):
    """Rows of a delta by kind."""

    added: int = Field(ge=0)
    changed: int = Field(ge=0)
    removed: int = Field(ge=0)


class Delta(_Model):
    """What `delta.json` holds; no user and no item."""

    format: Literal[1] = 1
    tenant_id: str
    base: NamedSnapshot
    """What has to be there already."""
    result: NamedSnapshot
    """What it becomes."""
    rows: Counts
    features: tuple[str, ...]
    """Columns of the examples that the rows have."""
    history: int = Field(ge=0)
    """How many of the user's interactions the lists hold at most; 0: there are no lists."""

"""What the derived tables say of themselves: versions, properties, columns."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from lakehouse.training.manifest import Column

if TYPE_CHECKING:
    from deltalake import DeltaTable

_WATERMARK: Final = "eta.watermark."
_PARAMETERS: Final = "eta.parameters"


@dataclass(frozen=True, slots=True)
class BuiltWith:
    """What a run left in the properties of a table: versions it had read, and its parameters."""

    source_versions: Mapping[str, int]
    parameters: str | None

    @property
    def cutoff(self) -> str | None:
        """The `cutoff` variable of the run; None when everything that was known counted."""
        cutoff = json.loads(self.parameters or "{}").get("cutoff")
        return None if cutoff in (None, "None") else str(cutoff)


def path_of(table: str) -> str:
    """Return where `schema.table` stands below the lake."""
    return table.replace(".", "/")


def built_with(table: DeltaTable) -> BuiltWith:
    """Return what a table's properties say of the run that made it."""
    properties = table.metadata().configuration
    return BuiltWith(
        {
            name.removeprefix(_WATERMARK): int(value)
            for name, value in sorted(properties.items())
            if name.startswith(_WATERMARK)
        },
        properties.get(_PARAMETERS),
    )


def columns_of(table: DeltaTable) -> tuple[Column, ...]:
    """Return the columns as a manifest names them."""
    fields = table.schema().fields
    return tuple(Column(name=field.name, type=str(field.type.type)) for field in fields)

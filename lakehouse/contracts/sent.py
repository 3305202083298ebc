"""Which of its fields a catalogue row sent: the others stay as they were, they are not cleared."""

from collections.abc import Sequence

import polars as pl

from lakehouse.contracts.mapping import FieldSource
from lakehouse.contracts.tenant import DataType

_NAMES = pl.List(pl.String)


def sent_fields(
    data_type: DataType, sources: Sequence[FieldSource], frame: pl.DataFrame, *, is_by_row: bool
) -> pl.Series:
    """Return the names of the fields that each row of a batch sent; null where it sent all of them.

    A field was sent that has a column or a constant; of rows that name their own fields
    (`is_by_row`) only where its text is not null: a null that was sent is an empty text.
    """
    names = data_type.definition.carried
    by_name = {source.field.name: source for source in sources}
    everywhere, somewhere = 0, []
    for bit, name in enumerate(names):
        source = by_name.get(name)
        if source is None:
            continue
        column = source.column if is_by_row else None
        if column is None or not frame[column].null_count():
            everywhere |= 1 << bit
        elif frame[column].null_count() < frame.height:
            somewhere.append(pl.col(column).is_not_null().cast(pl.UInt16) * (1 << bit))
    if not somewhere:
        same = _names_of(names, everywhere)
        return pl.Series([same], dtype=_NAMES).new_from_index(0, frame.height)
    masks = frame.select(
        pl.sum_horizontal(pl.lit(everywhere), *somewhere).cast(pl.UInt32)
    ).to_series()
    sets = [_names_of(names, mask) for mask in range(1 << len(names))]
    return pl.Series(sets, dtype=_NAMES).gather(masks)


def _names_of(names: Sequence[str], mask: int) -> list[str] | None:
    found = [name for bit, name in enumerate(names) if mask >> bit & 1]
    return None if len(found) == len(names) else found

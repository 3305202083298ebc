"""How each stored record of a tenant is to be read: by its layout and the tenant's mappings."""

from __future__ import annotations

from dataclasses import replace

from lakehouse.contracts.identifying import IdentifyingFields
from lakehouse.contracts.layout import SourceLayout
from lakehouse.contracts.tenant import DataType, TenantSettings
from lakehouse.privacy.mapping_history import MappingHistory
from lakehouse.privacy.records import RecordReader


class Readers:
    """The readers of one tenant's records, kept by layout and data type; for several threads.

    `known`: the tenant's mappings, with those of earlier settings where records may be as old.
    """

    def __init__(self, known: TenantSettings | MappingHistory) -> None:
        self._history = MappingHistory.of(known)
        self._known: dict[tuple[str, str], RecordReader] = {}

    def of(self, data_type: DataType, layout: SourceLayout) -> RecordReader:
        """Return the reader of records of a layout."""
        return self.of_text(data_type.value, layout.to_text())

    def of_text(self, data_type: str, layout_text: str) -> RecordReader:
        """Return the reader of records as the quarantine has them; without a layout as bytes."""
        key = (data_type, layout_text)
        if key not in self._known:
            try:
                layout = SourceLayout.from_text(layout_text)
            except ValueError:
                layout = SourceLayout(format="bytes")
            if data_type in set(DataType):
                fields, is_known = self._fields(DataType(data_type), layout)
                others = RecordReader(layout, self._others(DataType(data_type)))
            else:
                fields, is_known, others = self.any_fields(), True, None
            self._known[key] = RecordReader(layout, fields, is_known=is_known, others=others)
        return self._known[key]

    def fields(self, data_type: DataType, layout: SourceLayout) -> IdentifyingFields:
        """Return where records of a layout name a person, by every version of their mapping."""
        return self._fields(data_type, layout)[0]

    def any_fields(self, data_type: DataType | None = None) -> IdentifyingFields:
        """Return where a record may name a person by any of the tenant's mappings."""
        kinds = list(DataType) if data_type is None else [data_type]
        mappings = self._history.every()
        return IdentifyingFields.union(
            IdentifyingFields.of(kind, one) for kind in kinds for one in mappings
        )

    def _others(self, data_type: DataType) -> IdentifyingFields:
        """Return the fields of any mapping, without what a mapping says of each of its records."""
        return replace(self.any_fields(data_type), user_constants=(), anonymous_constants=())

    def _fields(self, data_type: DataType, layout: SourceLayout) -> tuple[IdentifyingFields, bool]:
        """Return the fields, and whether any version of the settings has the layout's mapping.

        If none has, the history is not that of the record: any field of a mapping may be it, and
        as none may be it as well, every value has to count.
        """
        mappings = self._history.of_layout(layout)
        if not mappings:
            return self.any_fields(data_type), False
        return IdentifyingFields.union(IdentifyingFields.of(data_type, m) for m in mappings), True

"""How each stored record of a tenant is to be read: by its layout and the tenant's mappings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lakehouse.contracts.identifying import IdentifyingFields
from lakehouse.contracts.layout import SourceLayout
from lakehouse.contracts.tenant import BUILT_IN_MAPPINGS, DataType, TenantSettings
from lakehouse.contracts.topics import STREAM_MAPPING
from lakehouse.errors import EtaError
from lakehouse.privacy.records import RecordReader

if TYPE_CHECKING:
    from lakehouse.contracts.tenant import SourceMapping


class Readers:
    """The readers of one tenant's records, kept by layout and data type; for several threads."""

    def __init__(self, settings: TenantSettings) -> None:
        self._settings = settings
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
            known = data_type in set(DataType)
            fields = self.fields(DataType(data_type), layout) if known else self.any_fields()
            self._known[key] = RecordReader(layout, fields)
        return self._known[key]

    def fields(self, data_type: DataType, layout: SourceLayout) -> IdentifyingFields:
        """Return where records of a layout name a person."""
        name = layout.mapping
        if not layout.columns and layout.format in ("bytes", "avro", "message"):
            # a message that no mapping was chosen for: the one that its topic is read with
            name = STREAM_MAPPING if STREAM_MAPPING in self._settings.sources else "contract"
        try:
            return IdentifyingFields.of(data_type, self._settings.mapping(name))
        except EtaError:  # the mapping was taken away: any of the tenant's may have been it
            return self.any_fields(data_type)

    def any_fields(self, data_type: DataType | None = None) -> IdentifyingFields:
        """Return where a record may name a person by any of the tenant's mappings."""
        mappings: list[SourceMapping] = [
            *BUILT_IN_MAPPINGS.values(),
            *self._settings.sources.values(),
        ]
        kinds = list(DataType) if data_type is None else [data_type]
        found = [IdentifyingFields.of(kind, one) for kind in kinds for one in mappings]
        return IdentifyingFields(
            frozenset().union(*(one.user for one in found)),
            frozenset().union(*(one.anonymous for one in found)),
            tuple(sorted({pair for one in found for pair in one.user_words})),
            tuple(sorted({pair for one in found for pair in one.anonymous_words})),
        )

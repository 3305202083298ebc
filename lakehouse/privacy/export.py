"""Everything the lake holds of one person, as a zip that is made while it is sent.

One JSON-lines file per table that has the person's rows, the embedding, and a manifest that comes
last and names each file with its table's version, rows and SHA-256. Memory does not grow with the
rows. Tables are opened at the start: what is exported is the lake at that moment.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import msgspec
import polars as pl
import pyarrow as pa
from deltalake import DeltaTable, QueryBuilder

from lakehouse.contracts.tables import PERSONAL_TABLES, RAW_CLICKSTREAM, RAW_INTERACTIONS, TableSpec
from lakehouse.contracts.tenant import check_tenant_id
from lakehouse.privacy.export_embedding import Embedding, read_embedding
from lakehouse.storage.lake import Lake
from lakehouse.storage.schemas import shown_to_people, written_by_models

if TYPE_CHECKING:
    from lakehouse.settings import LakeSettings

FORMAT: Final = 1
SHOWN: Final = "recommendation_shown"
"""Clickstream event that says what a user was recommended."""
SUBJECT: Final = "user_id"
_MODE: Final = 0o600
_ENCODER: Final = msgspec.json.Encoder()


@dataclass(slots=True)
class ExportedFile:
    """A file of the zip as the manifest names it."""

    path: str
    table: str
    table_version: int
    columns: dict[str, str]
    rows: int = 0
    sha256: str = ""


@dataclass(frozen=True, slots=True)
class _Part:
    file: ExportedFile
    table: DeltaTable
    condition: str


@dataclass(frozen=True, slots=True, repr=False)
class Export:
    """One person's export, its sources opened; `chunks` may be asked for once."""

    tenant_id: str
    embedding: Embedding
    created_at: datetime
    shared_anonymous_ids: int
    parts: tuple[_Part, ...] = field(default=())

    def chunks(self) -> Iterator[bytes]:
        """Yield the zip. One that broke off has no directory: no program takes it for whole."""
        from stream_zip import stream_zip

        yield from stream_zip(self._files())

    def _files(self) -> Iterator[tuple[str, datetime, int, Any, Iterable[bytes]]]:
        from stream_zip import ZIP_64

        for part in self.parts:
            yield part.file.path, self.created_at, _MODE, ZIP_64, _lines(part)
        embedding = json.dumps(asdict(self.embedding)).encode()
        yield "embedding.json", self.created_at, _MODE, ZIP_64, (embedding,)
        manifest = json.dumps(self._manifest(embedding), indent=2).encode()
        yield "manifest.json", self.created_at, _MODE, ZIP_64, (manifest,)

    def _manifest(self, embedding: bytes) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "tenant_id": self.tenant_id,
            "created_at": self.created_at.isoformat(),
            "files": [asdict(part.file) for part in self.parts],
            "embedding": {
                "path": "embedding.json",
                "format": self.embedding.format,
                "problem": self.embedding.problem,
                "sha256": hashlib.sha256(embedding).hexdigest(),
            },
            "anonymous_ids_left_out": self.shared_anonymous_ids,
        }


def open_export(
    settings: LakeSettings, tenant_id: str, user_id: str, now: datetime | None = None
) -> Export:
    """Open everything an export reads. A user nobody has heard of has an export without rows.

    Raises `EmbeddingsAway` when Redis does not answer, `EtaError` for an id that is no tenant's.
    """
    lake = Lake(settings)
    check_tenant_id(tenant_id)
    embedding = read_embedding(settings, tenant_id, user_id)
    mine = f"tenant_id = '{tenant_id}' and {_is_text(SUBJECT, user_id)}"
    clickstream = lake.table(RAW_CLICKSTREAM)
    anonymous, shared = _anonymous_ids(lake, tenant_id, mine)
    visits = _visits(tenant_id, mine, anonymous)
    parts = [
        _part("interactions", RAW_INTERACTIONS, lake.table(RAW_INTERACTIONS), mine),
        _part("clickstream", RAW_CLICKSTREAM, clickstream, visits),
        _part(
            "recommendations_received",
            RAW_CLICKSTREAM,
            clickstream,
            f"{visits} and event_name = '{SHOWN}'",
        ),
        *(
            _part(spec.name, spec, lake.table(spec), mine)
            for spec in PERSONAL_TABLES
            if spec not in (RAW_INTERACTIONS, RAW_CLICKSTREAM)
        ),
        *_derived(lake, _users(tenant_id, user_id, anonymous)),
    ]
    return Export(tenant_id, embedding, now or datetime.now(UTC), shared, tuple(parts))


def _derived(lake: Lake, mine: str) -> Iterator[_Part]:
    """The tables that dbt writes and that have rows of users, those of own schemas too."""
    for name, table in written_by_models(lake):
        schema, _, short = name.partition(".")
        columns = {column.name for column in table.schema().fields}
        if shown_to_people(schema) and {SUBJECT, "tenant_id"} <= columns:
            folder = "interactions" if schema == "staging" else schema
            yield _part_of(f"{folder}/{short}.jsonl", name, table, mine)


def _part(folder: str, spec: TableSpec, table: DeltaTable, condition: str) -> _Part:
    return _part_of(f"{folder}/raw_{spec.name}.jsonl", spec.full_name, table, condition)


def _part_of(path: str, name: str, table: DeltaTable, condition: str) -> _Part:
    columns = {column.name: str(column.type) for column in table.schema().fields}
    return _Part(ExportedFile(path, name, table.version(), columns), table, condition)


def _lines(part: _Part) -> Iterator[bytes]:
    """Yield the rows as JSON lines, and note in the file what they came to."""
    digest = hashlib.sha256()
    for batch in _query(part.table, f"select * from rows where {part.condition}"):  # noqa: S608
        rows = pa.record_batch(batch).to_pylist()
        lines = b"".join(_ENCODER.encode(row) + b"\n" for row in rows)
        digest.update(lines)
        part.file.rows += len(rows)
        yield lines
    part.file.sha256 = digest.hexdigest()


def _anonymous_ids(lake: Lake, tenant_id: str, mine: str) -> tuple[list[str], int]:
    """Return the anonymous ids that are this person's alone, and how many are others', too.

    Others stand beside one in a row, or are called like it.
    """
    clickstream = lake.table(RAW_CLICKSTREAM)
    tied = "select distinct anonymous_id from rows where anonymous_id is not null and "
    own = _column(clickstream, tied + mine)
    if not own:
        return [], 0
    others = _column(
        clickstream,
        f"{tied} tenant_id = '{tenant_id}' and user_id is not null and not ({mine}) "
        f"and {_is_one_of('anonymous_id', own)}",
    )
    called = (
        f"select distinct {SUBJECT} from rows where tenant_id = '{tenant_id}' "  # noqa: S608
        f"and {_is_one_of(SUBJECT, own)} and not ({mine})"
    )
    shared = set(others).union(*(_column(lake.table(spec), called) for spec in PERSONAL_TABLES))
    return sorted(set(own) - shared), len(shared)


def _users(tenant_id: str, user_id: str, anonymous: list[str]) -> str:
    """A condition: the row is of the person, in the models under an anonymous id of theirs, too."""
    return f"tenant_id = '{tenant_id}' and {_is_one_of(SUBJECT, [user_id, *anonymous])}"


def _visits(tenant_id: str, mine: str, anonymous: list[str]) -> str:
    if not anonymous:
        return mine
    alone = f"tenant_id = '{tenant_id}' and user_id is null"
    return f"(({mine}) or ({alone} and {_is_one_of('anonymous_id', anonymous)}))"


def _is_text(column: str, text: str) -> str:
    """A condition: the column has this text. As hexadecimal digits it cannot be more than text."""
    return f"{column} = arrow_cast(decode('{text.encode().hex()}', 'hex'), 'Utf8')"


def _is_one_of(column: str, texts: Iterable[str]) -> str:
    return f"({' or '.join(_is_text(column, text) for text in texts)})"


def _column(table: DeltaTable, text: str) -> list[str]:
    frames = [pl.DataFrame(batch) for batch in _query(table, text)]
    return [value for frame in frames for value in frame.to_series().to_list()]


def _query(table: DeltaTable, text: str) -> Iterable[Any]:
    return QueryBuilder().register("rows", table).execute(text)

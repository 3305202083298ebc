"""The files of an export, beside its manifest, in either layout.

`training_data/{date}/label=1.0/part-*.parquet` of `--format parquet`, the label in the path; and
`data/train/part-*.parquet` of `--format huggingface`, the label in the files.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final
from urllib.parse import unquote

import pyarrow as pa

from eta_data.errors import DamagedError, DataError
from eta_data.files import Folder
from eta_data.footers import Footer, read_footers
from eta_data.manifest import Manifest
from eta_data.schema import same_schema
from eta_data.source import DataFile, Reader, RowSource

MANIFEST: Final = "manifest.json"
DELTA: Final = "delta.json"
CHECKSUMS: Final = "SHA256SUMS"
ITEMS_FILE: Final = "items.parquet"
_HUGGING_FACE: Final = "data/"
_READ_BYTES: Final = 1 << 20
_TYPES: Final[Mapping[str, type]] = {"label": float}
"""Types of columns that stand in the names of folders; others are strings."""
_AGAIN: Final = "copy it again, or export the snapshot into a new folder"


def open_export(folder: Folder, manifest: Manifest) -> RowSource:
    """Return the rows of an export; refuse one that is not whole, or holds somebody else's rows."""
    names = _data_files(folder, manifest)
    footers = read_footers(folder, names, ["tenant_id"])
    first = next(iter(footers))
    files, constants = [], []
    for name, footer in footers.items():
        same_schema(footers[first].schema, footer.schema, name, first)
        found = tuple(_constants(name, footer, manifest))
        constants.append([column for column, _ in found])
        files.append(DataFile(name, footer.row_groups, footer.digest, footer.digest, found))
    if any(columns != constants[0] for columns in constants):
        raise DamagedError(
            f"{folder.path} has folders of several layouts", remedy=f"{_AGAIN}; do not mix exports"
        )
    schema = footers[first].schema
    for column in constants[0]:
        schema = schema.append(pa.field(column, pa.float64() if column in _TYPES else pa.string()))
    source = RowSource(folder, tuple(files), schema)
    _check_counts(source, manifest)
    _check_tenant(source, footers, manifest.tenant_id)
    return source


def refuse_delta(folder: Folder) -> None:
    """Raise when the folder holds what a snapshot changed, and not the snapshot's rows."""
    if folder.read(DELTA) is not None:
        raise DataError(
            f"{folder.path} is a delta between two snapshots, no training set",
            remedy="apply it with `eta export-apply` to an export of its first snapshot, and open "
            "the folder that this makes",
        )


def verify_export(folder: Folder, source: RowSource) -> None:
    """Read every byte and compare it with `SHA256SUMS`; raise at the first file that differs."""
    content = folder.read(CHECKSUMS)
    if content is None:
        raise DataError(
            f"{folder.path} has no {CHECKSUMS} to compare with",
            remedy="export the snapshot again, or open it without verify",
        )
    sums = dict(_sums(content, folder))
    read = [MANIFEST, *(file.name for file in source.files)]
    read += [ITEMS_FILE] if ITEMS_FILE in sums else []
    for name in read:
        if sums.get(name) != _sha256(folder, name):
            raise DamagedError(f"{folder.below(name)} is not what was exported", remedy=_AGAIN)


def _sums(content: bytes, folder: Folder) -> Iterable[tuple[str, str]]:
    for line in content.decode(errors="replace").splitlines():
        found = re.fullmatch(r"([0-9a-f]{64}) [ *](.+)", line)
        if found is None:
            raise DamagedError(f"{folder.path}/{CHECKSUMS} cannot be read", remedy=_AGAIN)
        folder.below(found[2])
        yield found[2], found[1]


def _sha256(folder: Folder, name: str) -> str | None:
    digest = hashlib.sha256()
    try:
        with folder.files.open_input_stream(folder.below(name)) as stream:
            while piece := stream.read(_READ_BYTES):
                digest.update(piece)
    except OSError:
        return None
    return digest.hexdigest()


def _data_files(folder: Folder, manifest: Manifest) -> list[str]:
    kind = "evaluation_data" if manifest.is_evaluation else "training_data"
    names = [
        name
        for name, _ in folder.names()
        if name.startswith((f"{kind}/", _HUGGING_FACE))
        and name.endswith(".parquet")
        and not name.rpartition("/")[2].startswith(("_", "."))
    ]
    if not names:
        raise DamagedError(f"{folder.path} has no Parquet file below {kind}/", remedy=_AGAIN)
    exports = {
        _HUGGING_FACE if name.startswith(_HUGGING_FACE) else name.split("/")[1] for name in names
    }
    if len(exports) > 1:
        raise DamagedError(
            f"{folder.path} holds several exports: {', '.join(sorted(exports))}",
            remedy="keep each export in a folder of its own",
        )
    return names


def _constants(name: str, footer: Footer, manifest: Manifest) -> Iterable[tuple[str, Any]]:
    parts = name.split("/")[1:-1]
    if manifest.is_evaluation and name.startswith(_HUGGING_FACE):
        parts = [f"split={part}" for part in parts]
    for part in parts:
        column, equals, text = part.partition("=")
        if not equals:
            continue
        if column in footer.schema.names:
            raise DamagedError(
                f"{column} stands both in {name} and in the name of its folder", remedy=_AGAIN
            )
        value = None if text == "__HIVE_DEFAULT_PARTITION__" else unquote(text)
        try:
            yield column, None if value is None else _TYPES.get(column, str)(value)
        except ValueError as error:
            raise DamagedError(f"{name}: {text} is no {column}", remedy=_AGAIN) from error


def _check_counts(source: RowSource, manifest: Manifest) -> None:
    rows: dict[tuple[Any, Any], int] = {}
    for file in source.files:
        constants = dict(file.constants)
        place = (constants.get("split", "train"), constants.get("label"))
        rows[place] = rows.get(place, 0) + sum(file.row_groups)
    expected = {"all": manifest.rows}
    found = {"all": sum(rows.values())}
    if all(label is not None for _, label in rows):
        expected |= {"positive": manifest.positives, "negative": manifest.negatives}
        found["positive"] = rows.get(("train", 1.0), 0)
        found["negative"] = rows.get(("train", 0.0), 0)
    for kind, count in expected.items():
        if found[kind] != count:
            raise DamagedError(
                f"{source.folder.path} holds {found[kind]:,} rows ({kind}), its manifest says "
                f"{count:,}",
                remedy=f"files are missing, or of another export: {_AGAIN}",
            )


def _check_tenant(source: RowSource, footers: dict[str, Footer], tenant: str) -> None:
    """Refuse rows of another tenant: by the footers' statistics, else by reading the column."""
    if "tenant_id" not in source.schema.names:
        return
    reader = Reader(source, ["tenant_id"])
    for block in source.blocks():
        name = source.files[block.file].name
        found = footers[name].ranges["tenant_id"]
        seen = found[block.group] if found else None
        values = set(seen) if seen else set()
        if seen is None:
            for piece in reader.pieces(block):
                values |= set(piece.column(0).unique().to_pylist())
        if values != {tenant}:
            raise DamagedError(
                f"{source.folder.below(name)} holds rows that are not of {tenant}",
                remedy="do not use this folder, and export the snapshot again",
            )

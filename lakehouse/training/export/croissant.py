"""`croissant.json`: what the files of an export are, as tools that find and load data sets read it.

Croissant 1.0 of MLCommons (https://docs.mlcommons.org/croissant/docs/croissant-spec.html): JSON-LD
with a checksum for each file, and one set of records with the columns. Paths are relative to it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

import pyarrow as pa

from lakehouse.training.manifest import EvaluationManifest, Manifest

NAME: Final = "croissant.json"
_VERSION: Final = "http://mlcommons.org/croissant/1.0"
_PARQUET: Final = "application/x-parquet"
_RECORDS: Final = "examples"
_FILES: Final = "files"
_IN_PATH: Final = {"split": "sc:Text", "label": "sc:Float"}
"""Columns that may stand in folders' names, with the type of their values."""
_CONTEXT: Final[Mapping[str, Any]] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileProperty": "cr:fileProperty",
    "fileObject": "cr:fileObject",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}


def croissant(manifest: Manifest, files: Mapping[str, tuple[str, int]], schema: pa.Schema) -> str:
    """Return the document. `files` is path → SHA-256 and bytes; `schema` that of the rows' files.

    The label, and the split of an evaluation snapshot, are columns too where they stand in the
    folders' names alone. Columns of keys and values (attributes) have no simple type: they are
    named in the description and described in the README.
    """
    rows = [path for path in sorted(files) if path.endswith(".parquet") and "/" in path]
    folders = rows[0].split("/")[:-1]
    in_path = {name: kind for name, kind in _IN_PATH.items() if f"/{name}=" in rows[0]}
    told = [field for field in schema if not _is_nested(field.type)]
    untold = [field.name for field in schema if _is_nested(field.type)]
    document = {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "name": f"{manifest.tenant_id}-{manifest.snapshot_id}",
        "description": _description(manifest, untold),
        "conformsTo": _VERSION,
        "version": "1.0.0",
        "datePublished": manifest.created_at.isoformat(),
        "isLiveDataset": False,
        "distribution": [
            *(_file(path, *files[path]) for path in rows),
            {
                "@type": "cr:FileSet",
                "@id": _FILES,
                "name": _FILES,
                "description": "The files of the rows.",
                "encodingFormat": _PARQUET,
                "includes": "/".join([folders[0], *["*"] * (len(folders) - 1), "*.parquet"]),
            },
        ],
        "recordSet": [
            {
                "@type": "cr:RecordSet",
                "@id": _RECORDS,
                "name": _RECORDS,
                "description": "Labelled examples, one a row.",
                "field": [
                    *(_column(field) for field in told),
                    *(_of_path(name, kind) for name, kind in in_path.items()),
                ],
            }
        ],
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _description(manifest: Manifest, untold: list[str]) -> str:
    kind = "Evaluation snapshot" if isinstance(manifest, EvaluationManifest) else "Training set"
    text = (
        f"{kind} of {manifest.tenant_id}: labelled examples for a recommender, content hash "
        f"{manifest.content_hash}. Columns are described in README.md."
    )
    return f"{text} Also in the files: {', '.join(untold)}." if untold else text


def _file(path: str, digest: str, size: int) -> dict[str, Any]:
    return {
        "@type": "cr:FileObject",
        "@id": path,
        "name": path,
        "contentUrl": path,
        "contentSize": f"{size} B",
        "encodingFormat": _PARQUET,
        "sha256": digest,
    }


def _column(field: pa.Field) -> dict[str, Any]:
    is_list = pa.types.is_list(field.type)
    found = _field(field.name, _data_type(field.type.value_type if is_list else field.type))
    found["source"] = {"fileSet": {"@id": _FILES}, "extract": {"column": field.name}}
    return found | ({"repeated": True} if is_list else {})


def _of_path(name: str, data_type: str) -> dict[str, Any]:
    return _field(name, data_type) | {
        "source": {
            "fileSet": {"@id": _FILES},
            "extract": {"fileProperty": "fullpath"},
            "transform": {"regex": f".*{name}=([^/]+)/.*"},
        }
    }


def _field(name: str, data_type: str) -> dict[str, Any]:
    return {
        "@type": "cr:Field",
        "@id": f"{_RECORDS}/{name}",
        "name": name,
        "dataType": data_type,
    }


def _data_type(kind: pa.DataType) -> str:
    if pa.types.is_boolean(kind):
        return "sc:Boolean"
    if pa.types.is_integer(kind):
        return "sc:Integer"
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return "sc:Float"
    return "sc:DateTime" if pa.types.is_temporal(kind) else "sc:Text"


def _is_nested(kind: pa.DataType) -> bool:
    return bool(pa.types.is_list(kind) and pa.types.is_nested(kind.value_type))

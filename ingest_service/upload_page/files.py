"""The files of the page `/upload`: its own beside the dashboard's elements, styles and key form.

What a data type has is written into the script from the contract, so a field that is added there is
on the page.
"""

import json
from importlib.resources import files
from typing import Final

from lakehouse.contracts.identifying import IDENTIFYING_COLUMNS
from lakehouse.contracts.tenant import DataType, InteractionType
from lakehouse.quality.pages import page_program, page_style, shared_parts

_SCRIPTS: Final = (
    "transfer.js",
    "mapping.js",
    "mapping_form.js",
    "inspection.js",
    "result.js",
    "rejects.js",
    "batches.js",
    "reading.js",
    "upload.js",
)


def upload_html() -> str:
    """Return the page; it holds nothing of a tenant's."""
    return _text("page.html")


def upload_style() -> str:
    """Return its style sheet."""
    return page_style() + _text("upload.css")


def upload_script() -> str:
    """Return its script."""
    return page_program([*shared_parts(), _contract(), *map(_text, _SCRIPTS)])


def _contract() -> str:
    """Return what the form has to know of the data types."""
    fields = {
        kind.value: [
            {"name": field.name, "kind": field.kind.value, "required": field.required}
            for field in kind.definition.fields
        ]
        for kind in DataType
    }
    words = [word.value for word in InteractionType]
    people = sorted(IDENTIFYING_COLUMNS)
    return (
        f"const FIELDS = {json.dumps(fields)};\n"
        f"const INTERACTION_TYPES = {json.dumps(words)};\n"
        f"const PEOPLE = {json.dumps(people)};\n"
    )


def _text(name: str) -> str:
    return files("ingest_service.upload_page").joinpath("page", name).read_text(encoding="utf-8")

"""Looks at files in a process of the ingestion service, and shows what was found."""

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import typer

from lakehouse.cli.output import note, print_rows
from lakehouse.contracts.tenant import TenantSettings
from lakehouse.errors import EtaError

LOOKED_AT: Final = 8 * 1024 * 1024
_SAMPLES: Final = 3
_SHOWN: Final = 60


@dataclass(frozen=True, slots=True)
class FileToLookAt:
    """A file; `mapping` is a name (`contract`: the contract's own columns), None: propose one."""

    path: Path
    data_type: str | None = None
    mapping: str | None = None


class LookedAtError(EtaError):
    """A file that cannot be read; `fault` is its code."""

    def __init__(self, file: Path, found: dict[str, Any]) -> None:
        super().__init__(f"{file}: {found['error']}", remedy=found["remedy"])
        self.fault: str = found["code"]


def look_at(
    files: Sequence[FileToLookAt],
    settings: TenantSettings,
    *,
    encoding: str | None = None,
    delimiter: str | None = None,
    sheet: str | None = None,
    looked_at: int = LOOKED_AT,
) -> list[dict[str, Any] | LookedAtError]:
    """Return the service's answer for each file, or why it cannot be read."""
    order = {
        "files": [
            {
                "path": str(file.path),
                "data_type": file.data_type,
                "mapping": file.mapping,
            }
            for file in files
        ],
        "settings": settings.model_dump(mode="json"),
        "encoding": encoding,
        "delimiter": delimiter,
        "sheet": sheet,
        "looked_at": looked_at,
    }
    ended = subprocess.run(
        [sys.executable, "-m", "ingest_service.inspect_command"],
        input=json.dumps(order),
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    try:
        answers = json.loads(ended.stdout)
    except ValueError:
        raise EtaError(
            "the inspection broke off", remedy="run the same command again with ETA_DEBUG=1"
        ) from None
    return [
        answer["answer"] if "answer" in answer else LookedAtError(file.path, answer)
        for file, answer in zip(files, answers, strict=True)
    ]


def show(file: Path, answer: dict[str, Any]) -> None:
    """Print what was found: what the file is, its columns, its rows, what is wrong, what to ask."""
    note(f"{file}: {_what_it_is(answer)}")
    for candidate in answer["encoding"]["candidates"]:
        note(f"  as {candidate['name']}: {candidate['sample']}")
    show_columns(answer)
    show_rows(answer)
    show_reasons(answer)
    show_questions(answer)


def show_columns(answer: dict[str, Any]) -> None:
    """Print the columns and what they seem to mean."""
    note("")
    print_rows(
        ("column", "type", "samples", "meaning", "note"),
        [
            (
                column["name"],
                column["type"],
                ", ".join(_cut(sample) for sample in column["samples"][:_SAMPLES]),
                column["meaning"],
                column["note"],
            )
            for column in answer["columns"]
        ],
    )


def show_rows(answer: dict[str, Any]) -> None:
    """Print the first rows as they would be stored, without columns that none of them fills."""
    rows = answer["rows"]
    names = [
        name for name in (rows[0] if rows else {}) if any(row[name] is not None for row in rows)
    ]
    if names:
        note("\nAs they would be stored:")
        print_rows(names, [[_cut(row[name]) for name in names] for row in rows])


def show_reasons(answer: dict[str, Any]) -> None:
    """Print what would become of the rows, and why some are wrong."""
    counts = answer["counts"]
    whole = "" if answer["is_whole_file"] else " (only the start of the file)"
    note(
        f"\n{counts['looked_at']:,} rows looked at{whole}: {counts['would_store']:,} would be "
        f"stored, {counts['would_reject']:,} are wrong, {counts['repeated']:,} repeat another."
    )
    for title, found in (("wrong", answer["reasons"]), ("odd", answer["warnings"])):
        if found:
            print_rows(
                (title, "rows", "first line", "why"),
                [(one["code"], one["count"], one["example_line"], one["message"]) for one in found],
            )


def show_questions(answer: dict[str, Any]) -> None:
    """Print what the file does not say."""
    for question in answer["questions"]:
        note(f"? {question}")


def show_proposal(answer: dict[str, Any]) -> None:
    """Print the proposed settings on stdout, so that they can be kept."""
    note("\nProposed settings, to be edited:")
    typer.echo(answer["proposed_settings_yaml"], nl=False)


def _what_it_is(answer: dict[str, Any]) -> str:
    dialect, encoding = answer["dialect"], answer["encoding"]
    parts = [answer["format"]["name"].upper()]
    if answer["format"]["compression"]:
        parts.append(f"packed with {answer['format']['compression']}")
    parts.append(f"{encoding['name']} ({encoding['how']})")
    if dialect["delimiter"]:
        parts.append(f"delimiter {dialect['delimiter']!r}")
    if dialect["header"] == "none":
        parts.append("no header")
    if dialect["skip_lines"]:
        parts.append(f"{dialect['skip_lines']} lines before the header")
    if dialect["comment"]:
        parts.append(f"comments after {dialect['comment']!r}")
    return f"{', '.join(parts)}; rows of {answer['data_type']}"


def _cut(value: object) -> str:
    text = "" if value is None else str(value)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"

"""Looks at files for `eta inspect` and `eta run`: `python -m ingest_service.inspect_command`.

A process of its own, as the service is: the command line does not load what reading files needs.
Takes one JSON document on stdin, `files` (each `path`, `data_type`, `mapping`: a name, `contract`
for the contract's own names, null for a proposal), `settings`, `encoding`, `delimiter`,
`looked_at`; prints a list with an answer or an error for each file.
"""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

from ingest_service.settings import prepare_process
from lakehouse.errors import EtaError


def main() -> int:
    """Look at each file, print what was found."""
    prepare_process()
    order = json.load(sys.stdin)
    print(json.dumps([_looked_at(order, file) for file in order["files"]]))
    return 0


def _looked_at(order: dict[str, Any], file: dict[str, Any]) -> dict[str, Any]:
    # polars and arrow read their settings when they are imported, so not before now.
    from datetime import UTC, datetime

    from ingest_service.sources.inspecting.answer import answer_of
    from ingest_service.sources.inspecting.inspection import InspectOrder, inspect
    from lakehouse.contracts.tenant import DataType, TenantSettings

    settings = TenantSettings.model_validate(order["settings"])
    name, data_type = file["mapping"], file["data_type"]
    try:
        with _unpacked(Path(file["path"]), order["looked_at"]) as (path, packing, is_start):
            found = inspect(
                InspectOrder(
                    path,
                    settings,
                    None if data_type is None else DataType(data_type),
                    None if name is None else settings.source(name),
                    order["encoding"],
                    order["delimiter"],
                    name=Path(file["path"]).name,
                    packing=packing,
                    is_start=is_start,
                    looked_at=order["looked_at"],
                    sheet=order["sheet"],
                ),
                datetime.now(UTC),
            )
            return {"answer": answer_of(found)}
    except EtaError as error:
        return {"error": error.message, "remedy": error.remedy, "code": error.code}
    except OSError as error:
        remedy = "check the file and its permissions"
        return {
            "error": f"the file cannot be read ({error.strerror})",
            "remedy": remedy,
            "code": "",
        }


@contextmanager
def _unpacked(path: Path, enough: int) -> Iterator[tuple[Path, str | None, bool]]:
    """Yield where the start of a file is unpacked, how it was packed, whether that is not all."""
    from ingest_service.readers.formats import can_be_cut
    from ingest_service.sources.uploads.spool import line_end_before
    from ingest_service.zip_archive import packing_of_file, unpacked_file

    packing = packing_of_file(path)
    if packing is None:
        yield path, None, False
        return
    with NamedTemporaryFile(prefix="eta-inspect-") as target:
        is_start = False
        for piece in unpacked_file(path, packing, sys.maxsize):
            if not target.tell() and not can_be_cut(piece):
                enough = sys.maxsize
            is_start = target.tell() > enough
            if is_start:
                break
            target.write(piece)
        target.flush()
        plain = Path(target.name)
        if is_start and (end := line_end_before(plain)):
            target.truncate(end)
        yield plain, packing, is_start


if __name__ == "__main__":
    sys.exit(main())

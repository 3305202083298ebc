"""Many files in one command: each a batch of its own, one report for each, and a sum."""

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import typer

from lakehouse.cli.output import left_out, note
from lakehouse.cli.uploading import RefusedError, UploadClient, UploadOptions

Show = Callable[[str, dict[str, Any]], None]
_SUMS: Final = ("rows_received", "rows_accepted", "duplicates", "quarantined", "skipped")


def upload_several(
    client: UploadClient,
    paths: Sequence[Path],
    data_type: str,
    options: UploadOptions,
    show: Show,
) -> bool:
    """Send files one after the other; return whether none was refused.

    A file that the service refuses does not stop the others. One that holds no rows is told, and
    is no failure unless all of them are so. Raises `EtaError` when the service cannot be reached,
    or would refuse any file.
    """
    sums: Counter[str] = Counter()
    ends: Counter[str] = Counter()
    for path in paths:
        end, answer = _send(client, path, data_type, options, show)
        ends[end] += 1
        sums.update({name: answer.get(name, 0) for name in _SUMS})
    note(_sum_of(len(paths), sums, ends, is_dry=options.dry_run))
    return not ends["refused"] and ends["without rows"] < len(paths)


def _send(
    client: UploadClient, path: Path, data_type: str, options: UploadOptions, show: Show
) -> tuple[str, dict[str, Any]]:
    """Send one file and tell of it; return how it ended, and its counts."""
    try:
        answer = client.send(path, data_type, options)
    except RefusedError as error:
        if error.is_of_any_file:
            raise
        if error.is_without_rows:
            note(f"{path.name}: no rows, nothing to store")
            return "without rows", {}
        note(f"{path.name}: {error.message}; {error.remedy}")
        return "refused", {}
    if options.in_background:
        note(f"{path.name}: taken in as job {answer['job_id']}")
        typer.echo(answer["job_id"])
        return "taken in", {}
    show(path.name, answer)
    return ("read" if answer["status"] == "success" else "refused"), answer


def _sum_of(count: int, sums: Counter[str], ends: Counter[str], *, is_dry: bool) -> str:
    if ends["taken in"]:
        text = f"{count:,} files: {ends['taken in']:,} taken in"
    else:
        done = "would be stored" if is_dry else "stored"
        text = (
            f"{count:,} files, {sums['rows_received']:,} rows: {sums['rows_accepted']:,} {done}, "
            f"{sums['duplicates']:,} known already, {sums['quarantined']:,} in quarantine"
            f"{left_out(sums['skipped'])}"
        )
    if ends["refused"]:
        text += f"; {ends['refused']:,} files refused, nothing of them is stored"
    if ends["without rows"]:
        text += f"; {ends['without rows']:,} files without rows"
    return text

"""The documented catalogue of codes: `python -m lakehouse.contracts.catalogue > docs/codes.md`."""

import sys
from typing import Final

from lakehouse.contracts.reasons import EXPLANATIONS, FILE_FAULTS, WARNINGS, Explanation

_PARTS: Final[tuple[tuple[str, str, tuple[tuple[str, Explanation], ...]], ...]] = (
    (
        "Errors of a row",
        "The row is not stored. With `on_error=reject` nothing of its file is; with `quarantine`\n"
        "the row is kept aside with all its codes. `conflicting_event` always goes to quarantine\n"
        "and never fails a file.",
        tuple(EXPLANATIONS.items()),
    ),
    ("Warnings", "The row or file is taken as it is.", tuple(WARNINGS.items())),
    (
        "Faults of a file",
        "The file is refused as a whole, 400, with the line where there is one. With\n"
        "`on_error=quarantine`, `ragged_row`, `not_utf8`, `nul_byte` and `bare_carriage_return`\n"
        "below the header are errors of their row instead.",
        tuple(FILE_FAULTS.items()),
    ),
)


def catalogue_page() -> str:
    """Return `docs/codes.md`: every code, what it means and what to do."""
    lines = [
        "# Codes",
        "",
        "What ingestion says about rows and files. A code keeps its meaning once released;",
        "messages may change. No message holds a value of the data. This page is made from",
        "`lakehouse/contracts/reasons.py`.",
    ]
    for title, text, codes in _PARTS:
        lines += [
            "",
            f"## {title}",
            "",
            text,
            "",
            "| code | meaning | remedy |",
            "| --- | --- | --- |",
        ]
        lines += [f"| `{code}` | {e.meaning} | {e.remedy} |" for code, e in codes]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.stdout.write(catalogue_page())

"""`docs/adr/README.md`: every decision record with its title and status."""

import re
from pathlib import Path
from typing import Final

from tools.reference.text import PROJECT_DIR, page, paragraph, table

ADR_DIR: Final = PROJECT_DIR / "docs" / "adr"
_TITLE: Final = re.compile(r"# (?:\d+)[.:]?\s+(.+)")


def records() -> list[Path]:
    """Return the files of the records, in their order."""
    return sorted(ADR_DIR.glob("[0-9][0-9][0-9][0-9]-*.md"))


def title_and_status(record: Path) -> tuple[str, str]:
    """Return both of a record.

    Raises `ValueError` when its first line is not `# NUMBER: title`, or no paragraph before its
    first section begins with `Status: `.
    """
    first, *rest = record.read_text(encoding="utf-8").split("\n")
    title = _TITLE.fullmatch(first)
    head = "\n".join(rest).split("\n## ")[0]
    status = next((p for p in head.split("\n\n") if p.strip().startswith("Status: ")), None)
    if title is None or status is None:
        raise ValueError(
            f"{record.name}: begin with '# NUMBER: title' and a paragraph 'Status: accepted'"
        )
    return title[1], status.strip().removeprefix("Status: ")


def adr_index() -> str:
    """Return the page."""
    rows = []
    for record in records():
        title, status = title_and_status(record)
        rows.append((record.name[:4], f"[{title}]({record.name})", status))
    return page(
        [
            "# Decisions",
            "",
            paragraph(
                "Each record says what was decided, why, and what was refused.",
                "A record is not rewritten when a later one replaces it: its status says so.",
                "A new one takes the next number; `python -m tools.reference` makes this list.",
            ),
            "",
            *table(("no.", "decision", "status"), rows),
        ]
    )

"""`python -m tools.results`: write `docs/results/*.md` from `benchmarks/results/*.json`.

A measurement is a file: what was measured, when, on what, by which command. Decisions, guides and
the pages made here link to it, so a figure stands in one place and never without its date.
"""

import datetime
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Final, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from tools.reference.adr_index import records, title_and_status
from tools.reference.text import PROJECT_DIR, page, paragraph, table

MEASUREMENTS: Final = PROJECT_DIR / "benchmarks" / "results"
FOLDER: Final = "docs/results"
COMMAND: Final = "uv run python -m tools.results"
TITLES: Final[Mapping[str, str]] = {
    "ingestion": "Files, the service and its tables",
    "events": "Events, kills and power cuts",
    "streaming": "Streaming from Kafka",
    "models": "The models on Spark",
    "orchestration": "Runs by a scheduler",
    "quality": "The quality gate and its figures",
    "erasure": "Erasing people",
    "installation": "What is installed",
    "platform": "Deploying, and many tenants",
}
"""The pages, in the order in which the list of them has them."""

_Text = Annotated[str, Field(min_length=1)]


class Measurement(BaseModel):
    """One file of `benchmarks/results`; figures are texts, with their units."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    title: _Text
    page: _Text
    """A name of `TITLES`."""
    date: datetime.date
    machine: _Text
    command: _Text | None
    """What repeats it; null when it was measured by hand."""
    decisions: tuple[Annotated[str, Field(pattern=r"^\d{4}$")], ...]
    """Numbers of the decision records that rest on it."""
    columns: tuple[str, ...]
    rows: Annotated[tuple[tuple[str, ...], ...], Field(min_length=1)]
    note: str

    @model_validator(mode="after")
    def _fits_its_page(self) -> Self:
        if self.page not in TITLES:
            raise ValueError(f"'{self.page}' is no page; take one of {', '.join(TITLES)}")
        if any(len(row) != len(self.columns) for row in self.rows):
            raise ValueError(f"a row of '{self.title}' has not one cell for each column")
        return self


def measurements(folder: Path = MEASUREMENTS) -> list[Measurement]:
    """Return all of them, the newest first.

    Raises `ValueError` when a file is not of the form, with the file's name.
    """
    read = []
    for file in sorted(folder.glob("*.json")):
        try:
            read.append(Measurement.model_validate_json(file.read_text(encoding="utf-8")))
        except ValueError as error:
            raise ValueError(f"{file.name}: {error}") from error
    return sorted(read, key=lambda one: one.date, reverse=True)


def pages() -> dict[str, str]:
    """Return the text of each page, by its path in the project."""
    shown = measurements()
    made = {f"{FOLDER}/README.md": _index(shown)}
    for name, title in TITLES.items():
        own = [one for one in shown if one.page == name]
        made[f"{FOLDER}/{name}.md"] = page(_lines(title, own))
    return made


def _index(shown: list[Measurement]) -> str:
    rows = []
    for name, title in TITLES.items():
        dates = [one.date for one in shown if one.page == name]
        rows.append((f"[{title}]({name}.md)", str(len(dates)), str(max(dates))))
    return page(
        [
            "# Measured",
            "",
            paragraph(
                "What was measured, when, on which machine, and the command that does it again.",
                "Figures are of the day they were taken on: they say what a decision rested on",
                "and not how fast the newest version is. Compare the ratios of one table;",
                "seconds of two tables may be of two machines.",
                "Made from `benchmarks/results` by `python -m tools.results`; do not edit it by",
                "hand.",
            ),
            "",
            *table(("page", "measurements", "newest"), rows),
        ]
    )


def _lines(title: str, shown: Iterable[Measurement]) -> Iterable[str]:
    names = {record.name[:4]: record for record in records()}
    yield from (f"# Measured: {title[0].lower()}{title[1:]}", "")
    yield "Newest first. [What these figures are](README.md)."
    for one in shown:
        yield from ("", f"## {one.title}", "")
        facts = [f"{one.date}, {one.machine}.", _origin(one.command)]
        if one.decisions:
            links = (
                f"[{title_and_status(names[number])[0]}](../adr/{names[number].name})"
                for number in one.decisions
            )
            facts.append(f"Decision: {'; '.join(links)}.")
        yield from (" ".join(facts), "", *table(one.columns, one.rows))
        if one.note:
            yield from ("", paragraph(one.note))


def _origin(command: str | None) -> str:
    return f"Again: `{command}`." if command else "Measured by hand."


def main() -> None:
    """Write the pages that are stale into the checkout, and say which."""
    for path, text in pages().items():
        file = PROJECT_DIR / path
        if not file.is_file() or file.read_text(encoding="utf-8") != text:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
            sys.stdout.write(f"written: {path}\n")


if __name__ == "__main__":
    main()

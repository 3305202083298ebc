"""A quality report for a terminal: tables, and a line of blocks for how a figure went."""

from collections.abc import Sequence
from datetime import datetime
from io import StringIO
from typing import Final, Literal

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from lakehouse.quality.document import DataTypeQuality, QualityReport

_BLOCKS: Final = "▁▂▃▄▅▆▇█"
_POINTS: Final = 24
_GATES: Final = 5
_RUNS: Final = 5
_BUILDS: Final = 5
_WIDTH: Final = 140
_PERCENTAGES: Final = ("completeness", "validity", "uniqueness", "consistency")
_NAMES: Final = ("reason", "check", "checked", "started")
_NUMBERS: Final = (
    *("score", *_PERCENTAGES, "freshness", "rows", "batches", "models", "tests", "seconds"),
    *("kept bytes", "kept rows", "written bytes", "took", "processor"),
)


def report_text(report: QualityReport, *, is_for_terminal: bool) -> str:
    """Return the report as text, in colours for a terminal."""
    buffer = StringIO()
    console = Console(
        file=buffer,
        force_terminal=is_for_terminal,
        width=None if is_for_terminal else _WIDTH,
        highlight=False,
    )
    console.print(f"[bold]{escape(report.tenant_id)}[/bold]: score {_percent(report.score)}")
    console.print(f"The last {report.days} days, as of {_time(report.generated_at)} UTC.")
    parts = (_kinds, _rejects, _gates, _runs, _costs, _builds)
    for table in (part(report) for part in parts):
        console.print()
        nothing, table.caption = table.caption, None
        console.print(table if table.row_count else f"{table.title}: {nothing}")
    return buffer.getvalue()


def sparkline(values: Sequence[float | None], low: float, high: float) -> str:
    """Return a block per value between `low` and `high`, a space where nothing was measured."""
    if high <= low:
        high = low + 1
    blocks = []
    for value in values:
        share = 0.0 if value is None else (min(max(value, low), high) - low) / (high - low)
        blocks.append(" " if value is None else _BLOCKS[round(share * (len(_BLOCKS) - 1))])
    return "".join(blocks)


def _kinds(report: QualityReport) -> Table:
    table = _table("Quality", "nothing was received or measured in this time")
    _columns(table, "data type", "score", *_PERCENTAGES, "freshness", "score over time")
    for kind in report.data_types:
        last = kind.history[-1] if kind.history else None
        figures = [
            _percent(getattr(last, f"{name}_percent") if last else None) for name in _PERCENTAGES
        ]
        table.add_row(
            kind.data_type,
            _percent(kind.score),
            *figures,
            _freshness(kind),
            _trend(kind),
        )
    return table


def _trend(kind: DataTypeQuality) -> str:
    scores = [measured.score for measured in kind.history[-_POINTS:]]
    known = [score for score in scores if score is not None]
    if not known:
        return "-"
    return f"{sparkline(scores, min(*known, 95.0), 100.0)} {_percent(min(known))} at least"


def _freshness(kind: DataTypeQuality) -> str:
    if kind.freshness_hours is None:
        return "-"
    text = f"{kind.freshness_hours:.1f} of {kind.freshness_objective_hours:g} h"
    is_late = kind.freshness_hours > kind.freshness_objective_hours
    return f"[red]{text}, late[/red]" if is_late else text


def _rejects(report: QualityReport) -> Table:
    table = _table("Rejects by reason", "no row is in quarantine")
    _columns(table, "reason", "data type", "field", "rows", "batches", "what to do")
    for found in report.rejects:
        counts = (f"{found.rows:,}", f"{found.batches:,}")
        table.add_row(found.code, found.data_type, escape(found.field), *counts, found.remedy)
    return table


def _gates(report: QualityReport) -> Table:
    table = _table("Gates (Soda)", "the checks have not run in this time")
    _columns(table, "checked", "verdict", "check", "measured", "expected", "what")
    for gate in report.gates[:_GATES]:
        verdict = "[green]passed[/green]" if gate.passed else "[red]held back[/red]"
        is_newest = gate is report.gates[0]  # the others by the names of their checks alone
        names = ", ".join(found.check for found in gate.checks)
        table.add_row(_time(gate.checked_at), verdict, "" if is_newest else names)
        for found in gate.checks if is_newest else ():
            table.add_row(
                "",
                "failed" if found.severity == "failure" else "warned",
                found.check,
                escape(str(found.measured)),
                escape(found.expected),
                escape(found.sentence),
            )
    return table


def _runs(report: QualityReport) -> Table:
    table = _table("Last runs", "the models have not run yet")
    _columns(table, "run", "state", "started", "training set", "why")
    for run in report.runs[:_RUNS]:
        told = (run.outcome or "-", escape(run.reason or "-"))
        table.add_row(escape(run.run_id), run.state, _time(run.started_at), *told)
    return table


def _costs(report: QualityReport) -> Table:
    table = _table("What it costs", "no run of the models has been measured in this time")
    _columns(table, "stage", "kept bytes", "kept rows", "written bytes", "took", "processor")
    for cost in report.costs:
        sizes = (cost.kept_bytes, cost.kept_rows, cost.written_bytes)
        took = (cost.seconds, cost.processor_seconds)
        table.add_row(
            cost.stage,
            *("-" if size is None else f"{size:,}" for size in sizes),
            *("-" if value is None else f"{value:.1f} s" for value in took),
        )
    return table


def _builds(report: QualityReport) -> Table:
    table = _table("dbt", "no dbt command was recorded in this time")
    _columns(table, "started", "models", "tests", "seconds", "not well", "slowest")
    for build in report.builds[:_BUILDS]:
        kinds = [node.kind for node in build.nodes]
        bad = [f"{n.name}: {n.status}" for n in build.nodes if n.status not in ("success", "pass")]
        slowest = max(build.nodes, key=lambda node: node.seconds)
        table.add_row(
            _time(build.started_at),
            str(kinds.count("model")),
            str(kinds.count("test")),
            f"{build.seconds:.0f}",
            escape(", ".join(bad)) or "-",
            f"{escape(slowest.name)} {slowest.seconds:.1f} s",
        )
    return table


def _columns(table: Table, *names: str) -> None:
    for name in names:
        justify: Literal["left", "right"] = "right" if name in _NUMBERS else "left"
        table.add_column(name, justify=justify, no_wrap=name in _NAMES, overflow="fold")


def _table(title: str, nothing: str) -> Table:
    """A table; its caption is what to say when it stays empty."""
    return Table(title=title, caption=nothing, title_justify="left", show_edge=False)


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{int(value * 10 + 1e-6) / 10:g} %"


def _time(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M}"

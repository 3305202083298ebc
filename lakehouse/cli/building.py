"""Runs the models for a command, with a line of progress per model."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from lakehouse.settings import LakeSettings
from lakehouse.training.build import BuildResult, NodeEvent, build

_TESTS: Final = ("test", "unit_test")


def build_with_progress(
    settings: LakeSettings,
    *,
    tenant_id: str | None = None,
    full_refresh: bool = False,
    variables: Mapping[str, Any] | None = None,
    select: Sequence[str] = (),
    holds_back: bool = False,
    console: Console | None = None,
) -> BuildResult:
    """Build and test the models; raises `EtaError` naming the first failures."""
    console = console or Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("Starting Spark", total=None)

        def show(event: NodeEvent) -> None:
            if not event.is_finished:
                kind = "Test" if event.kind in _TESTS else event.kind.capitalize()
                progress.update(task, description=f"{kind} {event.name[:40]}")
                if not progress.console.is_terminal and event.kind not in _TESTS:
                    progress.console.print(f"  {event.name} …", highlight=False)
                return
            progress.advance(task)
            if event.kind not in _TESTS:
                progress.console.print(
                    f"  {event.name:<24} {event.seconds:6.1f} s  {event.status}", highlight=False
                )

        return build(
            settings,
            tenant_id=tenant_id,
            full_refresh=full_refresh,
            variables=variables,
            select=select,
            holds_back=holds_back,
            on_event=show,
            on_count=lambda total: progress.update(task, total=total),
        )

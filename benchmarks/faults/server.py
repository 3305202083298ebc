"""The real service with steps that can be made to fail for one tenant: a file names which one."""

import importlib
import json
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

FAILING: Final = "failing"
"""The tenant whose requests fail."""

STEPS: Final = (
    "ingest_service.sources.events.group_commit:GroupCommitWriter._serve",
    "ingest_service.sources.events.group_commit:GroupCommitWriter._store",
    "ingest_service.sources.events.group_commit:GroupCommitWriter._commit",
    "ingest_service.readers.events.rows:EventRows.parse",
    "ingest_service.sources.ingest:IngestService.turn",
    "ingest_service.sources.ingest:IngestService.ingest_rows",
    "ingest_service.dedupe.history:DeltaHistory.unseen",
    "ingest_service.dedupe.window:BatchSession.publish",
    "ingest_service.dedupe.window:BatchWindow.judge",
    "lakehouse.contracts.validator:Validator.validate",
    "lakehouse.privacy.suppression:StoredSuppressionList.current",
    "ingest_service.sinks.delta:DeltaSink.begin",
    "ingest_service.sinks.delta:DeltaSink.commit",
    "ingest_service.sinks.delta:DeltaSink.commit_if",
    "ingest_service.sinks.delta:DeltaSink.location",
    "ingest_service.sinks.delta_batch:DeltaBatch.append",
    "ingest_service.sinks.delta_batch:DeltaBatch.abort",
    "ingest_service.sources.events.group_commit:told_of",
    "ingest_service.metrics:ServiceMetrics.observe",
)


class _Panic(BaseException):
    """What a native library raises when it panics."""


def _errors() -> dict[str, Callable[[], BaseException]]:
    from deltalake.exceptions import DeltaError

    from lakehouse.errors import EtaError

    return {
        "RuntimeError": lambda: RuntimeError("injected"),
        "OSError": lambda: OSError("injected"),
        "DeltaError": lambda: DeltaError("injected"),
        "EtaError": lambda: EtaError("injected", remedy="none"),
        "Panic": lambda: _Panic("injected"),
    }


class _Steps:
    """Wraps steps; one that the file names fails at every call for the tenant."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._errors = _errors()
        self._inside = threading.local()

    def wrap(self, name: str) -> None:
        module, _, path = name.partition(":")
        *owners, last = path.split(".")
        owner: Any = importlib.import_module(module)
        for one in owners:
            owner = getattr(owner, one)
        setattr(owner, last, self._step(name, getattr(owner, last)))

    def _step(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def step(*args: Any, **named: Any) -> Any:
            before = getattr(self._inside, "yes", False)
            self._inside.yes = before or any(map(_is_failing, args))
            try:
                if self._inside.yes:
                    self._fail(name)
                return function(*args, **named)
            finally:
                self._inside.yes = before

        return step

    def _fail(self, name: str) -> None:
        try:
            wanted = json.loads(self._file.read_text())
        except FileNotFoundError:
            return
        if wanted["step"] == name:
            raise self._errors[wanted["error"]]()


def _is_failing(value: Any) -> bool:
    found = value[0] if isinstance(value, tuple) and value else value
    name = found if isinstance(found, str) else getattr(found, "tenant_id", None)
    return isinstance(name, str) and name == FAILING


def main() -> int:
    """Serve as `python -m ingest_service` does; the first argument is the file."""
    from ingest_service.__main__ import main as serve
    from ingest_service.settings import prepare_process

    prepare_process()
    file = Path(sys.argv.pop(1))
    steps = _Steps(file)
    for name in STEPS:
        steps.wrap(name)
    return serve()


if __name__ == "__main__":
    sys.exit(main())

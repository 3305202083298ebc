"""Runs a replay in a process of the ingestion service, which alone validates and writes raw."""

import json
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lakehouse.errors import EtaError


@dataclass(frozen=True, slots=True)
class Replayed:
    """What became of the rows, per batch and in all."""

    batches: list[dict[str, Any]]
    rows_given: int | None

    @property
    def still_open_by_code(self) -> Counter[str]:
        """Reasons of the rows that stay in quarantine."""
        return sum((Counter(b["still_open_by_code"]) for b in self.batches), Counter[str]())

    @property
    def not_open(self) -> int:
        """Given rows that the quarantine does not have open."""
        if self.rows_given is None:
            return 0
        tried: int = sum(batch["tried"] for batch in self.batches)
        return self.rows_given - tried


def run_replay(
    tenant_id: str, batch_id: str | None, mapping: str | None, rows: Path | None
) -> Replayed:
    """Replay and wait for the end; raises `EtaError` as the replay does."""
    command = [sys.executable, "-m", "ingest_service.replay_command", "--tenant", tenant_id]
    given = {"--batch": batch_id, "--mapping": mapping, "--rows": rows}
    for name, value in given.items():
        if value is not None:
            command += [name, str(value)]
    ended = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    try:
        answer = json.loads(ended.stdout)
    except ValueError:
        raise EtaError(
            "the replay broke off",
            remedy="run the same command again: no row is taken in twice",
        ) from None
    if "error" in answer:
        raise EtaError(answer["error"], remedy=answer["remedy"])
    return Replayed(answer["batches"], answer["rows_given"])

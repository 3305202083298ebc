"""Replays quarantined rows for `eta quarantine`: `python -m ingest_service.replay_command`.

A process of its own, as the service is: the command line does not load what ingestion needs.
Prints one JSON document; errors go to stderr with exit code 1.
"""

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

from ingest_service.settings import ServiceSettings, prepare_process
from lakehouse.errors import EtaError
from lakehouse.settings import LakeSettings


def main() -> int:
    """Replay, print what became of the rows, return the exit code."""
    prepare_process()
    options = _options()
    try:
        print(json.dumps(_replay(options)))
    except EtaError as error:
        print(json.dumps({"error": error.message, "remedy": error.remedy}))
        return 1
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m ingest_service.replay_command")
    parser.add_argument("--tenant", required=True)
    parser.add_argument("--batch", help="only this batch")
    parser.add_argument("--mapping", help="read the rows with this source mapping of the tenant")
    parser.add_argument("--rows", type=Path, help="corrected rows, an edited export")
    return parser.parse_args()


def _replay(options: argparse.Namespace) -> dict[str, object]:
    # polars and arrow read their settings when they are imported, so not before now.
    from ingest_service.readers.quarantined import read_edited
    from ingest_service.wiring import replay

    edited = None if options.rows is None else read_edited(options.rows)
    replayed = replay(
        LakeSettings(), ServiceSettings(), options.tenant, options.batch, options.mapping, edited
    )
    return {
        "rows_given": None if edited is None else len(edited.values),
        "batches": [{**asdict(batch), "still_open": batch.still_open} for batch in replayed],
    }


if __name__ == "__main__":
    sys.exit(main())

"""Kills the service at 200 random moments of a stream of uploads: `python -m benchmarks.chaos`.

Uses `news_clicks.parquet` (`ETA_TEST_DATA`, or `../shared/data`), else generated rows. After every
restart the ledger must add up; in the end no row may be lost or stand twice after an exact removal
of repeated events. With `--sdk` a program tracks events through the client meanwhile, and each must
stand in raw once.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path

from tests.conftest import DATA_DIR
from tests.support.chaos import Damage, chaos
from tests.support.sdk_kills import sdk_kills


def main() -> int:
    """Run, print what it has cost, return 1 when it is not nothing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, help="default 200; with --sdk 20")
    parser.add_argument("--sdk", action="store_true", help="send through the Python client")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    if options.sdk:
        return _sdk(options.kills or 20, options.seed)
    clicks = DATA_DIR / "news_clicks.parquet"
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        found = chaos(
            Path(folder),
            options.kills or 200,
            clicks if clicks.is_file() else None,
            options.seed,
            _tell,
        )
    seconds = time.perf_counter() - started
    print(f"{found.kills} kills in {seconds:.0f} s, {found.killed_in_flight} during an upload")
    print(
        f"{found.uploads:,} uploads with {found.rows_sent:,} rows, "
        f"{found.event_batches:,} of them batches of JSON events, {found.retries:,} retries"
    )
    print(f"lost {found.rows_lost}, twice after removing repeats {found.rows_twice_downstream}")
    print(f"ledger unclean after {len(found.unclean_ledgers)} of {found.kills + 1} looks")
    damage = found.rows_lost or found.rows_twice_downstream or found.unclean_ledgers
    return 1 if damage else 0


def _sdk(kills: int, seed: int) -> int:
    with tempfile.TemporaryDirectory() as folder:
        found = sdk_kills(Path(folder), kills, seed)
    print(f"{found.kills} kills, {found.tracked:,} events tracked")
    print(f"lost {found.lost}, stored twice {found.twice}, rejected {found.rejected}")
    print(f"ledger: {len(found.ledger.wrong)} wrong, {found.ledger.unfinished} unfinished")
    is_clean = not (found.ledger.wrong or found.ledger.unfinished)
    return 0 if is_clean and not (found.lost or found.twice or found.rejected) else 1


def _tell(damage: Damage) -> None:
    if damage.kills % 10 == 0:
        unclean = len(damage.unclean_ledgers)
        print(f"{damage.kills} kills, {damage.uploads} uploads, {unclean} unclean", flush=True)


if __name__ == "__main__":
    sys.exit(main())

"""Eight processes write 200 batches each into one tenant: `python -m benchmarks.writers`.

No row may be lost and the live files must stay within their bound all the time.
"""

import argparse
import sys
import tempfile
from pathlib import Path

from lakehouse.settings import LakeSettings
from lakehouse.storage.lake import Lake
from lakehouse.storage.ledger_check import check_ledger
from lakehouse.storage.maintenance import CHECK_EVERY, SMALL_FILES, table_health
from tests.support.writers import expected_ids, write_at_once


def main() -> int:
    """Write, compare, print; exit code 1 when something is lost or over the bound."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--processes", type=int, default=8)
    parser.add_argument("--batches", type=int, default=200)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        lake = LakeSettings(home=Path(folder))
        seen = write_at_once(lake, options.processes, options.batches)
        check = check_ledger(Lake(lake))
        expected = expected_ids(options.processes, options.batches)
        bound = SMALL_FILES + CHECK_EVERY * options.processes
        lost = len(set(expected) - set(seen.batch_ids))
        twice = len(seen.batch_ids) - len(set(seen.batch_ids))
        print(f"{len(expected):,} batches in {seen.seconds:.0f} s; exit codes {seen.exit_codes}")
        print(f"lost {lost}, twice {twice}, wrong in the ledger {len(check.wrong)}")
        print(f"most live files of a table {seen.most_files}, bound {bound}")
        for found in table_health(Lake(lake)):
            print(f"{found.table}: {found.files} files, log {found.log_files} files")
    is_fine = not (lost or twice or check.wrong or any(seen.exit_codes))
    return 0 if is_fine and seen.most_files <= bound else 1


if __name__ == "__main__":
    sys.exit(main())

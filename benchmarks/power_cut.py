"""Cuts the power after each of 200 answers, syncing on and off: `python -m benchmarks.power_cut`.

After each answer a copy of the home is made as a disk would hold it (`tests.support.power_cut`), a
service is started on it, and what was acknowledged is looked for. Prints JSON; exit code 1 when
a row is lost with syncing on, or a loss with syncing off is reported by nobody.
"""

import argparse
import json
import random
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

from tests.support.power_cut import Outcome
from tests.support.power_cuts import power_cuts


def main() -> int:
    """Run, print, and return 1 when something was lost in silence."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--answers", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1, help="of what a cut spares by chance")
    options = parser.parse_args()
    found = {
        f"sync {'on' if sync else 'off'}, {'some spared' if spares else 'nothing spared'}": _run(
            options.answers, sync=sync, seed=options.seed if spares else None
        )
        for sync in (True, False)
        for spares in (False, True)
    }
    print(json.dumps({name: asdict(outcome) for name, outcome in found.items()}, indent=2))
    silent = sum(one.not_reported for one in found.values())
    lost = sum(one.lost for name, one in found.items() if name.startswith("sync on"))
    return 1 if silent or lost else 0


def _run(answers: int, *, sync: bool, seed: int | None) -> Outcome:
    chance = None if seed is None else random.Random(seed)
    with tempfile.TemporaryDirectory() as folder:
        return power_cuts(Path(folder), answers, sync=sync, chance=chance)


if __name__ == "__main__":
    sys.exit(main())

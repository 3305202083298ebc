"""`python -m benchmarks.erasure_chaos --kills 30`: erasures killed at random moments, all finished.

Each erasure runs as `eta privacy work` in a process of its own and is ended by kill -9; the next
worker finishes it. Checked after each: one certificate with the right counts, nothing of the
person anywhere, everybody else's rows unchanged. Prints JSON.
"""

import argparse
import json
import random
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

from lakehouse.storage.ledger_check import check_ledger
from tests.support.erasure import ErasableLake
from tests.support.erasure_kills import kill_erasure


def main() -> None:
    """Kill and check; an assertion ends it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--span", type=float, default=1.5, help="Seconds after the first step.")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    rng = random.Random(given.seed)
    with TemporaryDirectory(prefix="eta-erasure-") as folder:
        project = Path(folder, "project")
        project.mkdir()
        (project / "dbt_project.yml").touch()
        lake = ErasableLake(Path(folder, "home"), project)
        killed = [kill_erasure(lake, rng, given.span) for _ in range(given.kills)]
        wrong = check_ledger(lake.settings).wrong
        lake.close()
    assert not wrong, wrong
    report = {
        "erasures": len(killed),
        "killed_while_alive": sum(one.was_alive for one in killed),
        "at_step": Counter(one.step for one in killed if one.was_alive),
        "certificates": len(killed),
        "ledger_wrong": 0,
    }
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()

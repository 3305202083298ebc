"""`python -m benchmarks.erasure_chaos --kills 30`: erasures killed at random moments, all finished.

Each erasure runs as `eta privacy work` in a process of its own and is ended by kill -9; the next
worker finishes it. Checked after each: one certificate with the right counts, nothing of the
person anywhere, everybody else's rows unchanged. With `--models N` also N erasures in a home with
models, each after a run of the models that was killed half-way (Spark; some five minutes each);
then `eta prepare` has to succeed. Prints JSON.
"""

import argparse
import json
import random
import sys
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.erasure.model_kills import Cycles, ModelKills
from lakehouse.storage.lake import Lake
from lakehouse.storage.ledger_check import check_ledger
from tests.support.erasure import ErasableLake
from tests.support.erasure_kills import kill_erasure


def main() -> None:
    """Kill and check; an assertion ends it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--span", type=float, default=1.5, help="Seconds after the first step.")
    parser.add_argument("--models", type=int, default=0, help="Erasures in a home with models.")
    parser.add_argument(
        "--models-span", type=float, default=60, help="Seconds after the start of a run of models."
    )
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    rng = random.Random(given.seed)
    with TemporaryDirectory(prefix="eta-erasure-") as folder:
        project = Path(folder, "project")
        project.mkdir()
        (project / "dbt_project.yml").touch()
        lake = ErasableLake(Path(folder, "home"), project)
        killed = [kill_erasure(lake, rng, given.span) for _ in range(given.kills)]
        wrong = check_ledger(Lake(lake.settings)).wrong
        lake.close()
        models = with_models(Path(folder, "models"), rng, given.models, given.models_span)
    assert not wrong, wrong
    report = {
        "erasures": len(killed),
        "killed_while_alive": sum(one.was_alive for one in killed),
        "at_step": Counter(one.step for one in killed if one.was_alive),
        "certificates": len(killed),
        "ledger_wrong": 0,
        "with_models": asdict(models) if models else None,
    }
    print(json.dumps(report, indent=2))


def with_models(folder: Path, rng: random.Random, count: int, span: float) -> ModelKills | None:
    """Kill runs of the models and erasures of a home with models, if any are asked for."""
    if not count:
        return None
    return Cycles(folder, rng, span, lambda text: print(text, file=sys.stderr)).run(count)


if __name__ == "__main__":
    main()

"""`python -m benchmarks.erasure.hostile`: 500 hostile people, half of them erased.

Two tenants that share identifiers send by every way: CSV, JSON files, events, clickstream,
webhooks, the Python client, Kafka (JSON and Avro). Half of one tenant's people are erased in
several requests. A reader that uses nothing of the project (DuckDB, sqlite3, json, csv) then looks
at every file of the home: nobody erased may be a value of an identifying field, every row of
everybody else and all of the other tenant has to be as it was. Everything is sent again, and it
looks again. Prints JSON; exit code 1 when a check fails.

`--break NAME` takes one guard of the erasure away and exits with 1 when the proof saw it, which is
what it should do; `--break all` does so with each on a small population, without Spark or Kafka,
and exits with 1 when one was not seen. Names: see `broken`.
"""

import argparse
import json
from dataclasses import replace
from pathlib import Path

from benchmarks.erasure.hostile.breaking import SMALL, break_all, break_one
from benchmarks.erasure.hostile.broken import BREAKS
from benchmarks.erasure.hostile.people import KINDS
from benchmarks.erasure.hostile.trial import Options, try_it


def main() -> None:
    """Read the arguments, run, print."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.erasure.hostile",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--people", type=int, help=f"Default: 500; with --break: {SMALL.count}.")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=Path, help="A new folder that is not removed afterwards.")
    parser.add_argument("--models", action="store_true", help="Build and export (Spark).")
    parser.add_argument("--no-kafka", action="store_true", help="Leave out the broker.")
    parser.add_argument(
        "--no-mentions", action="store_true", help="No row mentions another person."
    )
    parser.add_argument(
        "--kinds", nargs="+", choices=list(KINDS), default=list(KINDS), help="Of identifiers."
    )
    parser.add_argument("--no-files", action="store_true", help="Ask over HTTP alone.")
    parser.add_argument("--no-replay", action="store_true", help="Send nothing a second time.")
    parser.add_argument(
        "--break", dest="name", choices=[*BREAKS, "all"], help="Break a guard: is it seen?"
    )
    given = parser.parse_args()
    if given.name is not None:
        _break(given)
    outcome = try_it(
        Options(
            count=given.people or 500,
            seed=given.seed,
            with_kafka=not given.no_kafka,
            with_models=given.models,
            with_mentions=not given.no_mentions,
            kinds=tuple(given.kinds),
            with_files=not given.no_files,
            with_replay=not given.no_replay,
        ),
        given.keep,
    )
    print(json.dumps(outcome.to_json, indent=2, ensure_ascii=False))
    raise SystemExit(1 if outcome.wrong else 0)


def _break(given: argparse.Namespace) -> None:
    options = replace(SMALL, count=given.people or SMALL.count, seed=given.seed)
    if given.name == "all":
        found = break_all(options)
        print(json.dumps(found, indent=2, ensure_ascii=False))
        raise SystemExit(0 if found["passed"] else 1)
    seen = break_one(given.name, options)
    print(json.dumps(seen, indent=2, ensure_ascii=False))
    raise SystemExit(1 if seen["caught"] else 0)


if __name__ == "__main__":
    main()

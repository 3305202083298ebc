"""Kills executors of a cluster whose lake is in a bucket: `python -m benchmarks.cluster_chaos`.

Starts a local S3 and a cluster of two workers, takes in two small tenants, and kills executors with
SIGKILL while incremental runs go on. In the end every table must have the rows that local Spark
makes of the same raw rows. About 5 GB of memory, and minutes per run.
"""

import argparse
import json
import random
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

from lakehouse.dev.s3 import start_s3, stop_s3
from lakehouse.settings import LakeSettings
from tests.support.cluster import ClusterStory, hashes, run_with_kills, twin_of
from tests.support.s3 import lake_on_s3


def main() -> int:
    """Run, print what was killed and which tables differ, return 1 when one does."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=2)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path, help="write what was found there, too")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = chaos(Path(folder), options.kills, options.workers, options.seed)
    if options.json is not None:
        options.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    print(f"{found['executors']} executors killed in {found['runs']} runs, all of which ended well")
    print(f"{found['equal']} of {found['tables']} tables equal local Spark's")
    for name in found["different"]:
        print(f"  {name} differs")
    return 1 if found["different"] else 0


def chaos(folder: Path, kills: int, workers: int, seed: int) -> dict[str, Any]:
    """Return what was killed and how many tables are equal; an assertion ends it."""
    store = LakeSettings(home=folder / "s3")
    try:
        settings = lake_on_s3(start_s3(store), folder / "home", "chaos")
        story = ClusterStory(settings.model_copy(update={"spark_memory": "1g"}), workers)
        try:
            story.ingest_catalogues()
            story.ingest_rows(1)
            story.up()
            print("first run", flush=True)
            story.models()
            killed = run_with_kills(story, kills, random.Random(seed), _say)
            print("the same rows on local Spark", flush=True)
            twin = twin_of(story, folder / "twin")
            twin.models()
            here, there = hashes(twin.settings), hashes(settings)
        finally:
            story.close()
    finally:
        stop_s3(store)
    different = sorted(name for name in here if here[name] is None or here[name] != there[name])
    return {
        **asdict(killed),
        "tables": len(here),
        "equal": len(here) - len(different),
        "different": different,
    }


def _say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())

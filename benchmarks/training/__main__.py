"""`python -m benchmarks.training`: the models' seconds on Spark, and as ratios against peers.

Each case has a process, a JVM and a lake of its own:

- `generated`: `--interactions` rows; `--pairs` pairs of Spark and DuckDB on the same files, and the
  original cross join on the sizes of `--cross-join`;
- `news`: the same with the news file, if it is there, with the figures its training set must have;
- `--scale 1500000,5000000,20000000`: full and incremental runs alone, and how cost grows.

JSON goes to standard output (or `--json`), a picture to `--plot`.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from benchmarks.training.growth import growth

NEWS: Final = Path(__file__).resolve().parents[3] / "shared" / "data" / "news_clicks.parquet"


def main() -> None:
    """Run the cases asked for; print JSON, draw the picture."""
    options = _arguments()
    result: dict[str, Any] = {}
    if options.scale:
        how = {"pairs": 0, "checks": False, "threads": options.threads}
        cases = [_case({"interactions": n, **how}) for n in options.scale]
        result = {
            "scale": cases,
            "growth": growth(cases),
            "growth_of_processor_seconds": growth(cases, "processor_by_model"),
        }
    else:
        how = {"pairs": options.pairs, "seed": options.seed}
        if options.interactions:
            result["generated"] = _case(
                {**how, "interactions": options.interactions, "cross_join": options.cross_join}
            )
        result["news"] = (
            _case({**how, "news": str(options.news)})
            if options.news.is_file()
            else {"skipped": f"{options.news} is not there"}
        )
    text = json.dumps(result, indent=2)
    if options.json:
        options.json.write_text(text + "\n", encoding="utf-8")
    else:
        print(text)
    if options.plot:
        from benchmarks.training.plot import draw

        draw(result, options.plot)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--interactions", type=int, default=1_500_000, help="0: no generated case")
    parser.add_argument("--news", type=Path, default=NEWS)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--cross-join", type=_sizes, default=[50_000, 100_000, 200_000])
    parser.add_argument("--scale", type=_sizes, default=[])
    parser.add_argument(
        "--threads", type=int, default=1, help="of dbt, in --scale; more than 1 overlap models"
    )
    parser.add_argument("--json", type=Path)
    parser.add_argument("--plot", type=Path)
    return parser.parse_args()


def _sizes(text: str) -> list[int]:
    return [int(size) for size in text.split(",") if size]


def _case(options: dict[str, Any]) -> dict[str, Any]:
    with TemporaryDirectory(prefix="eta-bench-") as folder:
        done = subprocess.run(
            [
                *(sys.executable, "-m", "benchmarks.training.case"),
                json.dumps({"folder": folder, **options}),
            ],
            stdout=subprocess.PIPE,
            check=True,
            text=True,
        )
    case: dict[str, Any] = json.loads(done.stdout)
    return case


if __name__ == "__main__":
    main()

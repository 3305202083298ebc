"""`python -m benchmarks.evaluation`: does a model trained on a snapshot's rows beat popularity?

MovieLens 100k, likes (ratings 4 and 5), leave-one-out, every film ranked. A logistic matrix
factorisation learns from the labelled training rows alone; how many factors and epochs is chosen
on the validation positives, then five seeds are judged on the test. Popularity counts the training
rows alone. The difference per user, averaged over the seeds, is bootstrapped over the users.
"""

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any, Final

import numpy as np

from benchmarks.evaluation.factorisation import Hyperparameters, train
from benchmarks.evaluation.plot import plot
from benchmarks.evaluation.scoring import Hits, Snapshot, bootstrap, hits, read_snapshot
from benchmarks.evaluation.snapshot import make_snapshot

SAMPLES: Final = 10_000
CHOICES: Final = tuple(
    Hyperparameters(factors=factors, epochs=epochs, penalty=penalty)
    for factors in (32, 64)
    for epochs in (10, 15, 20)
    for penalty in (0.02, 0.03)
)
DEFAULT_DATA: Final = Path(__file__).resolve().parents[3] / "shared" / "data"


def main() -> None:
    """Run the benchmark and print JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=DEFAULT_DATA, help="folder of ml-100k/")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--export", type=Path, help="use this Parquet export, make no snapshot")
    parser.add_argument("--plot", type=Path, help="write a picture here (PNG)")
    options = parser.parse_args()
    file = options.data / "ml-100k" / "ml-100k.inter"
    if options.export is None and not file.is_file():
        print(f"skipped: {file} is not there; --data names another folder", file=sys.stderr)
        return
    with TemporaryDirectory(prefix="eta-bench-") as folder:
        about: dict[str, Any] = {}
        export = options.export
        if export is None:
            manifest, export = make_snapshot(file, Path(folder))
            about = json.loads(manifest.model_dump_json(include=_ABOUT))
        found = compare(read_snapshot(export), options.seeds, options.plot)
    print(json.dumps(about | found, indent=2))


_ABOUT: Final = {"content_hash", "split", "counts", "held_out"}


def compare(snapshot: Snapshot, seeds: int, picture: Path | None) -> dict[str, Any]:
    """Choose on validation, judge on the test; return the figures."""
    items = snapshot.popularity.size
    everybody = np.tile(snapshot.popularity, (snapshot.user_count, 1))
    chosen, validated = _choose(snapshot)

    def on_test(scores: Any) -> Hits:
        return hits(scores, snapshot.test, snapshot.liked, snapshot.validation)

    popular = on_test(everybody)
    runs, seconds = [], []
    for seed in range(1, seeds + 1):
        began = perf_counter()
        runs.append(on_test(train(snapshot.train, snapshot.user_count, items, chosen, seed)))
        seconds.append(round(perf_counter() - began, 2))
    differences = np.mean(runs, axis=0) - popular
    means = bootstrap(differences, samples=SAMPLES, seed=0)
    rates = [float(run.mean()) for run in runs]
    if picture is not None:
        plot(picture, float(popular.mean()), rates, means)
    return {
        "users": int(snapshot.test.users.size),
        "items": items,
        "training_rows": int(snapshot.train.labels.size),
        "chosen_on_validation": asdict(chosen) | {"hr_at_10": round(validated, 4)},
        "popularity_hr_at_10": round(float(popular.mean()), 4),
        "popularity_hr_at_10_nothing_left_out": round(
            float(hits(everybody, snapshot.test).mean()), 4
        ),
        "factorisation_hr_at_10": [round(rate, 4) for rate in rates],
        "factorisation_mean": round(float(np.mean(rates)), 4),
        "difference": round(float(differences.mean()), 4),
        "difference_95_percent": [round(float(q), 4) for q in np.quantile(means, [0.025, 0.975])],
        "share_of_bootstraps_at_or_below_zero": float((means <= 0).mean()),
        "each_seed_95_percent": [
            [
                round(float(q), 4)
                for q in np.quantile(
                    bootstrap(run - popular, samples=SAMPLES, seed=0), [0.025, 0.975]
                )
            ]
            for run in runs
        ],
        "seconds_per_training": seconds,
    }


def _choose(snapshot: Snapshot) -> tuple[Hyperparameters, float]:
    rated = []
    for how in CHOICES:
        scores = train(snapshot.train, snapshot.user_count, snapshot.popularity.size, how, seed=0)
        rated.append(float(hits(scores, snapshot.validation, snapshot.liked).mean()))
    best = int(np.argmax(rated))
    return CHOICES[best], rated[best]


if __name__ == "__main__":
    main()

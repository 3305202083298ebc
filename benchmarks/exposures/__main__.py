"""`python -m benchmarks.exposures`: negatives that were shown against uniform ones.

A log of lists and clicks is divided by time. Its earlier part goes through eta as clickstream:
service, mapping, models, published training sets with as many shown as sampled negatives per
positive, read by the loader. A logistic matrix factorisation with biases of users and items learns
from the positives and one kind of negatives, or both; it ranks the later impressions.

`generated`: five logs of known truth for each of two policies. Factors, epochs and penalty are
chosen for each policy and kind on a sixth log, by the AUC on its later impressions.
`open-bandit`: the sample in the package `obp` (`--obp`: its folder `obp/dataset/obd`), five seeds
of draws and training, hyperparameters fixed beforehand.
"""

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from statistics import mean
from tempfile import TemporaryDirectory
from typing import Any, Final

import numpy as np
import polars as pl

from benchmarks.evaluation.factorisation import Floats, Hyperparameters
from benchmarks.exposures.generated import POLICIES, Size, make_log
from benchmarks.exposures.log import Log
from benchmarks.exposures.open_bandit import read_log
from benchmarks.exposures.ranking import (
    KINDS,
    Doubles,
    Test,
    auc,
    bootstrap,
    learn,
    make_test,
    rank_correlation,
)
from benchmarks.exposures.results import NEGATIVES, SAMPLES, SEEDS, write_results
from benchmarks.exposures.through import tenant_settings, training_sets

CHOSEN_ON: Final = 0
CHOICES: Final = tuple(
    Hyperparameters(
        factors=factors, epochs=epochs, penalty=penalty, batch=1024, has_user_biases=True
    )
    for factors in (4, 8)
    for epochs in (5, 10, 20)
    for penalty in (0.02, 0.1, 0.3)
)
FIXED: Final = Hyperparameters(factors=4, epochs=20, penalty=0.1, batch=64, has_user_biases=True)
"""For a log that has too few clicks to choose on."""


def generated(folder: Path, size: Size) -> dict[str, Any]:
    """Return the figures of both policies."""
    logs = {
        f"{policy}-{seed}": make_log(seed, policy, size)
        for policy in POLICIES
        for seed in (CHOSEN_ON, *SEEDS)
    }
    settings = {name: tenant_settings(int(name[-1]), NEGATIVES, 30) for name in logs}
    sets = training_sets(logs, settings, folder)
    found = {}
    for policy in POLICIES:
        tests = {seed: make_test(logs[f"{policy}-{seed}"]) for seed in (CHOSEN_ON, *SEEDS)}
        rows = {seed: sets[f"{policy}-{seed}"][0] for seed in tests}
        chosen = {kind: _choose(rows[CHOSEN_ON], kind, tests[CHOSEN_ON]) for kind in KINDS}
        scores = {
            kind: {seed: learn(rows[seed], kind, tests[seed], chosen[kind], seed) for seed in SEEDS}
            for kind in KINDS
        }
        truths = {seed: _attraction(logs[f"{policy}-{seed}"], tests[seed]) for seed in SEEDS}
        # other users in every log: drawn for each, and the differences are means of five
        samples = {
            kind: np.mean(
                [
                    bootstrap(tests[s], [scores[kind][s]], [scores["uniform"][s]], SAMPLES, s)
                    for s in SEEDS
                ],
                axis=0,
            )
            for kind in ("shown", "both")
        }
        found[policy] = _figures(tests, scores, samples) | {
            "rank_correlation_with_truth": {
                kind: {s: round(rank_correlation(one[s], truths[s]), 4) for s in SEEDS}
                for kind, one in scores.items()
            },
            "auc_of_truth": {s: round(_auc_of(tests[s], truths[s]), 4) for s in SEEDS},
            "users": size.users,
            "counts": {s: sets[f"{policy}-{s}"][1] for s in SEEDS},
            "chosen": {
                kind: {"factors": one.factors, "epochs": one.epochs, "penalty": one.penalty}
                for kind, one in chosen.items()
            },
        }
    return found


def open_bandit(folder: Path, data: Path) -> dict[str, Any]:
    """Return the figures of the sample, and of its later impressions by the random policy alone."""
    log = read_log(data)
    names = {seed: f"obd-{seed}" for seed in SEEDS}
    settings = {name: tenant_settings(seed, NEGATIVES, 60) for seed, name in names.items()}
    sets = training_sets(dict.fromkeys(names.values(), log), settings, folder)
    test = make_test(log)
    scores = {
        kind: {s: learn(sets[names[s]][0], kind, test, FIXED, s) for s in SEEDS} for kind in KINDS
    }
    is_random = log.later["page"].str.ends_with("random").to_numpy()
    at_random = Test(
        test.users, test.items, test.user[is_random], test.item[is_random], test.clicked[is_random]
    )
    found = {}
    for name, judged in (("all", test), ("random policy", at_random)):
        # one log: the same users are drawn for all seeds
        samples = {
            kind: bootstrap(
                judged, [*scores[kind].values()], [*scores["uniform"].values()], SAMPLES, 0
            )
            for kind in ("shown", "both")
        }
        found[name] = _figures(dict.fromkeys(SEEDS, judged), scores, samples) | {
            "impressions": int(judged.clicked.size),
            "clicks": int(judged.clicked.sum()),
            "counts": {s: sets[names[s]][1] for s in SEEDS},
        }
    return found


def _choose(rows: pl.DataFrame, kind: str, test: Test) -> Hyperparameters:
    rated = [_auc_of(test, learn(rows, kind, test, how, seed=CHOSEN_ON)) for how in CHOICES]
    return CHOICES[int(np.argmax(rated))]


def _auc_of(test: Test, scores: Floats) -> float:
    return auc(scores[test.user, test.item].astype(float), test.clicked)


def _attraction(log: Log, test: Test) -> Floats:
    """Return the truth of the users and items that the test numbers."""
    if log.attraction is None:
        raise ValueError("the log's truth is not known")
    numbers = [
        ids[name].str.slice(1).cast(pl.Int64).to_numpy()
        for ids, name in ((test.users, "user_id"), (test.items, "item_id"))
    ]
    found: Floats = log.attraction[np.ix_(*numbers)]
    return found


def _figures(
    tests: Mapping[int, Test],
    scores: Mapping[str, Mapping[int, Floats]],
    samples: Mapping[str, Doubles],
) -> dict[str, Any]:
    by_seed = {
        kind: {seed: round(_auc_of(tests[seed], one[seed]), 4) for seed in SEEDS}
        for kind, one in scores.items()
    }
    means = {kind: mean(one.values()) for kind, one in by_seed.items()}
    return {
        "auc": by_seed,
        "auc_mean": {kind: round(one, 4) for kind, one in means.items()},
        "less_uniform": {kind: round(means[kind] - means["uniform"], 4) for kind in samples},
        "less_uniform_95_percent": {kind: _interval(drawn) for kind, drawn in samples.items()},
    }


def _interval(drawn: Doubles) -> list[float]:
    return [round(float(q), 4) for q in np.quantile(drawn, [0.025, 0.975])]


def main() -> None:
    """Run one log, print all figures as JSON and write those of the results' page."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("log", choices=["generated", "open-bandit"])
    parser.add_argument("--obp", type=Path, help="obp/dataset/obd of the package obp")
    parser.add_argument("--users", type=int, default=Size().users, help="of a generated log")
    parser.add_argument("--folder", type=Path, help="keep the lake here")
    parser.add_argument("--dry-run", action="store_true", help="leave benchmarks/results as it is")
    options = parser.parse_args()
    if options.log == "open-bandit" and options.obp is None:
        parser.error("--obp: install the package obp somewhere and name its obp/dataset/obd")
    with TemporaryDirectory(prefix="eta-bench-") as temporary:
        folder = options.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        if options.log == "generated":
            found = generated(folder, Size(users=options.users))
        else:
            found = open_bandit(folder, options.obp)
    print(json.dumps(found, indent=2))
    if not options.dry_run:
        write_results(options.log, found)


if __name__ == "__main__":
    main()

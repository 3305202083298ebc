"""What the page of results says of the figures of one log."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from statistics import mean
from typing import Any, Final

from benchmarks.exposures.ranking import KINDS

RESULTS: Final = Path(__file__).parents[1] / "results"
SEEDS: Final = (1, 2, 3, 4, 5)
SAMPLES: Final = 2_000
NEGATIVES: Final = 4
_TITLES: Final = {
    "generated": "Shown negatives against uniform ones, logs of known truth",
    "open-bandit": "Shown negatives against uniform ones, a sample of the Open Bandit Dataset",
}


def write_results(log: str, found: Mapping[str, Any]) -> None:
    """Write `benchmarks/results/exposures-{log}.json`."""
    rows = [row for name, one in found.items() for row in _rows(name, one)]
    document = {
        "title": _TITLES[log],
        "page": "models",
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "machine": "2 cores",
        "command": f"uv run python -m benchmarks.exposures {log}"
        + ("" if log == "generated" else " --obp obp/dataset/obd"),
        "decisions": ["0056", "0058"],
        "columns": [
            "log: negatives",
            "AUC on later impressions, mean of five seeds",
            "each seed",
            "less uniform (95 %)",
            "rank correlation with the truth",
        ],
        "rows": rows,
        "note": _note(log, found),
    }
    text = json.dumps(document, indent=2, ensure_ascii=False) + "\n"
    (RESULTS / f"exposures-{log}.json").write_text(text)


def _rows(name: str, found: Mapping[str, Any]) -> list[list[str]]:
    rows = []
    for kind in KINDS:
        low, high = found["less_uniform_95_percent"].get(kind, (0.0, 0.0))
        truth = found.get("rank_correlation_with_truth")
        rows.append(
            [
                f"{name}: {kind}",
                f"{found['auc_mean'][kind]:.3f}",
                " ".join(f"{one:.3f}" for one in found["auc"][kind].values()),
                "–"
                if kind == "uniform"
                else f"{found['less_uniform'][kind]:+.3f} ({low:+.3f} to {high:+.3f})",
                f"{mean(truth[kind].values()):.3f}" if truth else "not known",
            ]
        )
    if "auc_of_truth" in found:
        ceiling = found["auc_of_truth"].values()
        seeds = " ".join(f"{one:.3f}" for one in ceiling)
        rows.append([f"{name}: the truth itself", f"{mean(ceiling):.3f}", seeds, "–", "1"])
    return rows


def _note(log: str, found: Mapping[str, Any]) -> str:
    method = (
        "The log's earlier part went through the service, the mapping of the clickstream and the "
        f"models to published sets with at most {NEGATIVES} shown and {NEGATIVES} sampled "
        "negatives per positive; a logistic matrix factorisation with biases learned from all "
        f"positives and the negatives named. Intervals: {SAMPLES:,} bootstraps over users, both "
        "models on the same draw. "
    )
    return method + (_of_generated(found) if log == "generated" else _of_open_bandit(found))


def _of_generated(found: Mapping[str, Any]) -> str:
    users = {one["users"] for one in found.values()}.pop()
    return (
        f"Five logs per policy, each of {users} users, 200 items and lists of ten; the last 8 of "
        "30 lists of each user are the later ones. `promoting` shows items by weights that have "
        "nothing to do with taste, `even` all alike; both are clicked by position. The truth's "
        "own AUC is what taste alone reaches: positions are not ranked by. Factors, epochs and "
        "penalty were chosen for each policy and kind on a sixth log. The correlation is "
        "Spearman's over all items, the mean of users."
    )


def _of_open_bandit(found: Mapping[str, Any]) -> str:
    everything, at_random = found["all"], found["random policy"]
    counts = everything["counts"][SEEDS[0]]
    error = 1 / (12 * everything["clicks"]) ** 0.5  # of the AUC of scores that say nothing
    return (
        "The sample (package `obp` 0.5.7) has 60,000 impressions of seven days and names no user: "
        "a user is all people with the same four hashed features, a list what they were shown of a "
        "campaign by a policy within an hour. The last two days are later: "
        f"{everything['impressions']:,} impressions, {everything['clicks']} clicks; of them "
        f"{at_random['impressions']:,} and {at_random['clicks']} by the random policy. "
        f"{counts['positives']} positives, {counts['shown_negatives']} shown and "
        f"{counts['sampled_negatives']} sampled negatives: the sample was drawn row by row, so "
        "most positives have few or no neighbours. An AUC by chance has a standard error of "
        f"{error:.3f} with so few clicks, so no model here is surely better than chance. "
        "Seeds are of draws and training, on one log; hyperparameters were fixed before the first "
        "run."
    )

"""Spark and DuckDB by turns: the feature models and the negatives, on the same files."""

from collections.abc import Sequence
from pathlib import Path
from statistics import median
from time import process_time
from typing import TYPE_CHECKING, Any, Final

from benchmarks.training.duck import Peer
from benchmarks.training.memory import JavaProcess
from benchmarks.training.models import Model, Run, compiled, run_models

if TYPE_CHECKING:
    from lakehouse.settings import LakeSettings

TENANT: Final = "bench"
FEATURES: Final = ("user_features", "item_features", "recent_interactions")
NEGATIVES: Final = "sampled_negatives"
SELECTED: Final = ("path:dbt_project/models/features", NEGATIVES)

Figures = dict[str, Any]


def run_peers(settings: "LakeSettings", count: int, folder: Path, java: JavaProcess) -> Figures:
    """Build all models, then run features and negatives in both engines `count` times by turns.

    The tables come from a full refresh, so each file's rows are all current and DuckDB may read
    the files. Afterwards the models know that their parents were rebuilt.
    """
    if not count:
        return {}
    run_models(settings, full_refresh=True)
    models = compiled(settings, SELECTED)
    peer = Peer(settings, folder)
    idle = run_models(settings)
    pairs = [_pair(settings, peer, models, idle, java) for _ in range(count)]
    agreement = {
        name: {
            "rows_in_duckdb_and_spark": peer.row_counts(model, TENANT),
            # other draws stand in for xxhash64, so only counts can agree
            **({} if name == NEGATIVES else {"differing": peer.differing_rows(model, TENANT)}),
        }
        for name, model in models.items()
    }
    peer.close()
    return {"ratios": _ratios(pairs, list(models)), "agreement": agreement, "pairs": pairs}


def _pair(
    settings: "LakeSettings", peer: Peer, models: dict[str, Model], idle: Run, java: JavaProcess
) -> Figures:
    spark: Figures = {"seconds": {}, "processor_seconds": {}, "peak_rss_mb": 0}
    duck: Figures = {"seconds": {}, "processor_seconds": {}}
    for name, model in models.items():
        java.take()
        run = run_models(settings, full_refresh=True, select=[name]).less(idle)
        used = java.take()
        spark["seconds"][name] = round(run.by_model[name], 3)
        spark["processor_seconds"][name] = used["processor_seconds"]
        spark["peak_rss_mb"] = max(spark["peak_rss_mb"], used["peak_rss_mb"])
        worked = process_time()
        duck["seconds"][name] = round(peer.run(model), 3)
        duck["processor_seconds"][name] = round(process_time() - worked, 3)
    peer.register()
    return {"spark": spark, "duckdb": duck}


def _ratios(pairs: Sequence[Figures], names: Sequence[str]) -> Figures:
    """Return medians of Spark's time over DuckDB's, by the clock and of the processors."""
    groups = {
        "negatives": [NEGATIVES],
        "three_feature_models": FEATURES,
        "all_feature_models": [name for name in names if name != NEGATIVES],
        **{name: [name] for name in names},
    }
    return {
        group: {what: _ratio(pairs, what, members) for what in ("seconds", "processor_seconds")}
        for group, members in groups.items()
    }


def _ratio(pairs: Sequence[Figures], what: str, names: Sequence[str]) -> float:
    ratios = [
        sum(pair["spark"][what][name] for name in names)
        / sum(pair["duckdb"][what][name] for name in names)
        for pair in pairs
    ]
    return round(float(median(ratios)), 2)

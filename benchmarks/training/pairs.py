"""Spark and DuckDB by turns: the feature models and the labelled examples, on the same files."""

from collections.abc import Sequence
from pathlib import Path
from statistics import median
from time import process_time
from typing import TYPE_CHECKING, Any, Final

from benchmarks.training.duck import Peer
from benchmarks.training.memory import JavaProcess
from benchmarks.training.models import Model, compiled, run_models

if TYPE_CHECKING:
    from lakehouse.settings import LakeSettings

TENANT: Final = "bench"
FEATURES: Final = ("user_features", "item_features", "recent_interactions")
EXAMPLES: Final = "training_data"
ROWLESS_RUNS: Final = 3
MODELLED: Final = ("staging", "features", "training")
SELECTED: Final = ("path:dbt_project/models/features", EXAMPLES)

Figures = dict[str, Any]


def run_peers(settings: "LakeSettings", count: int, folder: Path, java: JavaProcess) -> Figures:
    """Build all models, then run features and examples in both engines `count` times by turns.

    The tables come from a full refresh, so each file's rows are all current and DuckDB may read
    the files. What both take to replace a table by one of no rows is measured last and subtracted:
    that empties the tables, so a full refresh has to follow.
    """
    if not count:
        return {}
    run_models(settings, full_refresh=True)
    models = compiled(settings, SELECTED)
    peer = Peer(settings, folder)
    pairs = [_pair(settings, peer, models, java) for _ in range(count)]
    agreement = {
        name: {
            "rows_in_duckdb_and_spark": peer.row_counts(model, TENANT),
            # other draws stand in for xxhash64, so only counts can agree
            **({} if name == EXAMPLES else {"differing": peer.differing_rows(model, TENANT)}),
        }
        for name, model in models.items()
    }
    _empty_tables(settings)
    peer.register()
    without_rows = _medians([_pair(settings, peer, models, java) for _ in range(ROWLESS_RUNS)])
    peer.close()
    return {
        "ratios": _ratios([_less(pair, without_rows) for pair in pairs], list(models)),
        "agreement": agreement,
        "pairs": pairs,
        "without_rows": without_rows,
    }


def _pair(
    settings: "LakeSettings", peer: Peer, models: dict[str, Model], java: JavaProcess
) -> Figures:
    spark: Figures = {"seconds": {}, "processor_seconds": {}, "peak_rss_mb": 0}
    duck: Figures = {"seconds": {}, "processor_seconds": {}}
    for name, model in models.items():
        java.take()
        run = run_models(settings, full_refresh=True, select=[name], java=java)
        spark["seconds"][name] = round(run.by_model[name], 3)
        spark["processor_seconds"][name] = round(run.processor_by_model[name], 3)
        spark["peak_rss_mb"] = max(spark["peak_rss_mb"], java.take()["peak_rss_mb"])
        worked = process_time()
        duck["seconds"][name] = round(peer.run(model), 3)
        duck["processor_seconds"][name] = round(process_time() - worked, 3)
    peer.register()
    return {"spark": spark, "duckdb": duck}


def _empty_tables(settings: "LakeSettings") -> None:
    """Delete every row that dbt wrote; whole files go, so no deletion vector is left."""
    from lakehouse.spark.session import open_local_session

    session = open_local_session(settings)
    for log in sorted(Path(settings.lake).glob("*/*/_delta_log")):
        schema, table = log.parts[-3:-1]
        if schema in MODELLED:
            session.sql(f"delete from {schema}.{table}")


def _medians(pairs: Sequence[Figures]) -> Figures:
    return {
        engine: {
            what: {name: median(pair[engine][what][name] for pair in pairs) for name in by_model}
            for what, by_model in figures.items()
            if what != "peak_rss_mb"
        }
        for engine, figures in pairs[0].items()
    }


def _less(pair: Figures, without_rows: Figures) -> Figures:
    """Return a pair less what the same takes without a row; nothing falls below a millisecond."""
    return {
        engine: {
            what: {
                name: max(0.001, pair[engine][what][name] - seconds)
                for name, seconds in by_model.items()
            }
            for what, by_model in figures.items()
        }
        for engine, figures in without_rows.items()
    }


def _ratios(pairs: Sequence[Figures], names: Sequence[str]) -> Figures:
    """Return medians of Spark's time over DuckDB's, by the clock and of the processors."""
    groups = {
        "training_data": [EXAMPLES],
        "three_feature_models": FEATURES,
        "all_feature_models": [name for name in names if name != EXAMPLES],
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

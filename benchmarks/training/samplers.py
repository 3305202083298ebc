"""`python -m benchmarks.training.samplers`: are weighted draws exact, and what do they cost?

One generated log with a catalogue, one lake, one JVM:

- for each alpha the popularity draws of every positive (one each) against their exact expectation:
  chi-square per degree of freedom over the items, the largest error of a row's probability, and how
  many draws the user knew, came before they were available, or repeated for their positive;
- the seconds of the models that draw negatives (`sampling_weights`, `training_data`), all uniform
  and with shares, by turns, and the median ratio.

`--part` does one of the two.

The expectation is computed from staged events alone, with arrays of all items for each hour. JSON
goes to standard output (or `--json`).
"""

import argparse
import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl
from deltalake import DeltaTable, QueryBuilder

from benchmarks.training.generator import Log
from benchmarks.training.memory import JavaProcess
from benchmarks.training.models import Run, run_models
from benchmarks.training.raw import store, store_catalogue
from lakehouse.contracts.negative_sampling import NegativeSamplingSettings, SamplingShares
from lakehouse.contracts.tenant import TenantSettings

if TYPE_CHECKING:
    from lakehouse.settings import LakeSettings

Floats = npt.NDArray[np.float64]

TENANT: Final = "bench"
ALPHAS: Final = (0.0, 0.5, 0.75, 1.0)
MIXED: Final = SamplingShares(uniform=2, popularity=1, category=1)
DRAWING: Final = ("sampling_weights", "training_data")
SHARES: Final = {
    "half by popularity": SamplingShares(uniform=2, popularity=2),
    "mixed": MIXED,
}
MIN_EXPECTED: Final = 5.0
"""Expected draws of an item below which chi-square would not hold."""
UNIT: Final = 2**16
"""Weights are whole numbers of this part of 1."""


def sampling(shares: SamplingShares | None, alpha: float = 0.75) -> TenantSettings:
    """Return settings with the shares; none are four uniform draws."""
    return TenantSettings(
        negatives_per_positive=shares.total if shares else None,
        negative_sampling=NegativeSamplingSettings(shares=shares, popularity_alpha=alpha),
    )


def main() -> None:
    """Run the case and print its figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--interactions", type=int, default=1_500_000)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--part", choices=("exactness", "cost"))
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with TemporaryDirectory(prefix="eta-bench-") as folder:
        text = json.dumps(
            run(Path(folder), options.interactions, options.rounds, options.part), indent=2
        )
    if options.json:
        options.json.write_text(text + "\n", encoding="utf-8")
    else:
        print(text)


def run(home: Path, interactions: int, rounds: int, part: str | None) -> dict[str, Any]:
    """Measure in this process; `home` must not hold a lake yet."""
    os.environ.update(
        ETA_HOME=str(home),
        DBT_TARGET_PATH=str(home / "target"),
        DBT_LOG_PATH=str(home / "logs"),
        ETA_JAVA_OPTIONS="-XX:+UseParallelGC",
    )
    from lakehouse.settings import LakeSettings
    from lakehouse.spark.session import open_local_session

    settings = LakeSettings()
    log = Log(interactions)
    rows = store(settings, TENANT, log.pieces())
    store_catalogue(settings, TENANT, log.catalogue())
    session = open_local_session(settings)
    # as in a lake that is not small
    session.conf.set("spark.sql.adaptive.enabled", "true")
    session.conf.set("spark.sql.codegen.factoryMode", "FALLBACK")
    session.conf.set("spark.sql.shuffle.partitions", "8")
    try:
        java = JavaProcess()
        run_models(settings, select=["+training_data"], java=java)
        found: dict[str, Any] = {"interactions": rows}
        if part != "cost":
            found["draws_by_alpha"] = {str(alpha): exactness(settings, alpha) for alpha in ALPHAS}
        if part != "exactness":
            found["cost"] = cost(list(measured_rounds(settings, java, rounds)))
    finally:
        session.stop()
    return found


def measured_rounds(
    settings: "LakeSettings", java: JavaProcess, rounds: int
) -> Iterator[dict[str, dict[str, Any]]]:
    """Yield the figures of full refreshes of the drawing models, uniform and with shares."""
    for _ in range(rounds):
        yield {
            name: _refreshed(settings, sampling(shares), java).report()
            for name, shares in {"uniform": None, **SHARES}.items()
        }


def cost(rounds: list[dict[str, dict[str, Any]]]) -> dict[str, Any]:
    """Return the rounds, and for each kind of shares its median seconds over those of uniform."""
    return {
        "shares": {name: shares.model_dump() for name, shares in SHARES.items()},
        "rounds": rounds,
        "over_uniform": {
            name: {what: _ratio(rounds, name, what) for what in ("by_model", "processor_by_model")}
            for name in SHARES
        },
    }


def _ratio(rounds: list[dict[str, dict[str, Any]]], name: str, what: str) -> float:
    ratios = [_total(one[name][what]) / _total(one["uniform"][what]) for one in rounds]
    return round(median(ratios), 3)


def exactness(settings: "LakeSettings", alpha: float) -> dict[str, Any]:
    """Draw one negative by popularity for each positive; compare with what was to be expected."""
    told = sampling(SamplingShares(popularity=1), alpha)
    _refreshed(settings, told, None)
    drawn = _rows(
        settings,
        "training/training_data",
        "user_id, item_id, anchor_item_id, negative_strategy, sampling_probability, event_time",
        "negative_strategy is not null",
    )
    others = drawn.filter(pl.col("negative_strategy") != "popularity")
    drawn = drawn.filter(pl.col("negative_strategy") == "popularity")
    expected, error = expected_draws(settings, drawn, alpha)
    counts = np.bincount(drawn["item"].to_numpy(), minlength=len(expected))
    kept = expected >= MIN_EXPECTED
    statistic = ((counts - expected) ** 2)[kept] / expected[kept]
    return {
        **wrong_draws(settings, drawn),
        "draws": drawn.height,
        "not_by_popularity": others.height,
        "items": int(kept.sum()),
        "chi_square_per_df": round(float(statistic.mean()), 4) if kept.any() else None,
        "largest_relative_error_of_a_probability": float(error),
    }


def wrong_draws(settings: "LakeSettings", drawn: pl.DataFrame) -> dict[str, int]:
    """Return how many draws no draw may be, by why."""
    pairs = _rows(settings, "staging/stg_interactions", "distinct user_id, item_id")
    items = _rows(settings, "training/item_availability", "item_id, available_at")
    from_then = drawn.join(items, on="item_id", how="left")
    return {
        "known_to_their_user": drawn.join(pairs, on=["user_id", "item_id"], how="semi").height,
        "from_the_future": from_then.filter(
            pl.col("available_at").is_null() | (pl.col("available_at") > pl.col("event_time"))
        ).height,
        "repeated": int(drawn.select("user_id", "anchor_item_id", "item_id").is_duplicated().sum()),
    }


def expected_draws(
    settings: "LakeSettings", drawn: pl.DataFrame, alpha: float
) -> tuple[Floats, float]:
    """Return how often each item was to be drawn, and the largest error of a stored probability.

    `drawn` gets the column `item`, the number of the item in the arrays.
    """
    items = _rows(settings, "training/item_availability").sort("item_id")
    numbers = {name: number for number, name in enumerate(items["item_id"])}
    available = items["available_at"].to_numpy()
    events = _rows(settings, "staging/stg_interactions", "user_id, item_id, event_time")
    events = events.with_columns(
        item=_numbered(events["item_id"], numbers), hour=pl.col("event_time").dt.truncate("1h")
    )
    known = {
        user: part["item"].unique().to_numpy()
        for (user,), part in events.partition_by("user_id", as_dict=True).items()
    }
    drawn.insert_column(0, _numbered(drawn["item_id"], numbers).alias("item"))
    moments = drawn.with_columns(hour=pl.col("event_time").dt.truncate("1h"))
    expected = np.zeros(len(numbers))
    worst = 0.0
    for (hour,), part in moments.sort("hour").partition_by("hour", as_dict=True).items():
        assert isinstance(hour, datetime)
        before = events.filter(pl.col("hour") < hour)["item"].to_numpy()
        counts = 1 + np.bincount(before, minlength=len(numbers))
        units = 2 ** np.maximum(np.floor(np.log2(counts)) - 1, 0)
        weights = np.rint((counts // units * units) ** alpha * UNIT)
        weights *= available <= np.datetime64(hour.replace(tzinfo=None))
        total = weights.sum()
        given = 0.0
        for user, item, probability in part.select(
            "user_id", "item", "sampling_probability"
        ).iter_rows():
            share = 1 / (total - weights[known[user]].sum())
            given += share
            expected[known[user]] -= weights[known[user]] * share
            # stored is that of the proposal, before what the user knows is passed over
            worst = max(worst, abs(probability / (weights[item] / total) - 1))
        expected += weights * given
    return expected, worst


def _refreshed(
    settings: "LakeSettings",
    told: TenantSettings,
    java: JavaProcess | None,
    select: tuple[str, ...] = ("stg_tenant_settings", *DRAWING),
) -> Run:
    from lakehouse.storage.lake import Lake
    from lakehouse.training.tenant_settings import publish_tenant_settings

    publish_tenant_settings(Lake(settings), {TENANT: told}, datetime.now(UTC))
    return run_models(settings, full_refresh=True, select=select, java=java)


def _total(by_model: dict[str, float]) -> float:
    return sum(by_model[name] for name in DRAWING)


def _numbered(names: pl.Series, numbers: dict[str, int]) -> pl.Series:
    return names.replace_strict(numbers, return_dtype=pl.Int64)


def _rows(
    settings: "LakeSettings", path: str, columns: str = "*", condition: str = "true"
) -> pl.DataFrame:
    table = DeltaTable(f"{settings.lake}/{path}")
    query = f"select {columns} from held where tenant_id = '{TENANT}' and {condition}"
    return pl.DataFrame(QueryBuilder().register("held", table).execute(query).read_all())


if __name__ == "__main__":
    main()

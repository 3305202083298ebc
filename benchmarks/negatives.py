"""`python -m benchmarks.negatives`: are negatives by popularity and category exact? Their cost?

One generated log, as in `benchmarks.training`, is the data of several tenants, each of which draws
its negatives in another way and with another seed; a larger one that of those whose seconds are
measured. All are built in one lake. Then

- every draw is compared with what it must be by a count over all items for each user and day,
  which the models never make: how often each item was drawn against the sum of its probabilities
  (chi squared over its degrees of freedom, whose mean is 1), the probabilities in the rows, items
  that the user knows, that came later, or that stand twice;
- `training_data` is computed again for one tenant after another, in rounds: seconds as a ratio to
  the tenant that draws uniformly and says nothing.

chi squared is the sum over items and days of (drawn - expected)² / variance, the variance being the
sum of p · (1 - p) over the positives: draws of one positive are without replacement.
"""

import argparse
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl
from deltalake import QueryBuilder

from benchmarks.training.generator import Log

if TYPE_CHECKING:
    from lakehouse.settings import LakeSettings

RESULT: Final = Path(__file__).parent / "results" / "negatives.json"
ENOUGH: Final = 5.0
"""Items that are expected less often on a day are left out of chi squared."""
DRAWS: Final = 4
UNIFORM: Final = "uniform"
EXPONENTS: Final = {
    "popularity-0": 0.0,
    "popularity-50": 0.5,
    "popularity-75": 0.75,
    "popularity-100": 1.0,
}
CATEGORY: Final = "category"
MIXED: Final = "mixed"
COMPARED: Final = (*EXPONENTS, CATEGORY)
TIMED: Final = (UNIFORM, "popularity-75", CATEGORY, MIXED)
SEEDS: Final = (1, 2, 3, 4)
"""Of the draws: chi squared is that of all of them together."""
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Found:
    """How the draws of a tenant compare with what they must be."""

    draws: int
    positives: int
    chi_squared_per_df: float
    degrees_of_freedom: int
    largest_error_of_probability: float
    """Relative, of `sampling_probability`."""
    known: int
    from_the_future: int
    repeated: int


def settings_of(name: str, seed: int) -> dict[str, Any]:
    """Return the settings of a tenant that draws in the way of this name."""
    shares = {
        UNIFORM: None,
        CATEGORY: {"category": 1},
        MIXED: {"uniform": 0.5, "popularity": 0.3, "category": 0.2},
    }.get(name, {"popularity": 1})
    if shares is None:
        return {"seed": seed}
    exponent = EXPONENTS.get(name, 0.75)
    return {"seed": seed, "negatives": {"shares": shares, "popularity_exponent": exponent}}


def together(found: Sequence[Found]) -> Found:
    """Return the figures of several draws as one."""
    freedom = sum(one.degrees_of_freedom for one in found)
    squares = sum(one.chi_squared_per_df * one.degrees_of_freedom for one in found)
    return Found(
        draws=sum(one.draws for one in found),
        positives=sum(one.positives for one in found),
        chi_squared_per_df=round(squares / freedom, 4),
        degrees_of_freedom=freedom,
        largest_error_of_probability=max(one.largest_error_of_probability for one in found),
        known=sum(one.known for one in found),
        from_the_future=sum(one.from_the_future for one in found),
        repeated=sum(one.repeated for one in found),
    )


def compared(
    log: pl.DataFrame,
    drawn: pl.DataFrame,
    *,
    exponent: float | None,
    categories: pl.DataFrame | None = None,
) -> Found:
    """Compare draws by popularity to the power of `exponent`, or without one within categories.

    `log` has user_id, item_id and event_time of all interactions, all of a positive type; `drawn`
    the rows of `training_data` that were drawn so; `categories` item_id, category and valid_from,
    one row per item.
    """
    world = _World(log, exponent, categories)
    counted = drawn.join(world.numbers, on="item_id").with_columns(day=_day("event_time"))
    pairs = counted.group_by("user_id", "anchor_item_id", "day").agg(
        "number", "sampling_probability"
    )
    shape = (len(world.available), len(world.items))
    expected, variance, times = np.zeros(shape), np.zeros(shape), np.zeros(shape)
    worst, repeated, known, future = 0.0, 0, 0, 0
    for user, anchor, day, numbers, told in pairs.iter_rows():
        chances = world.chances(user, anchor, day)
        expected[world.days[day]] += chances
        variance[world.days[day]] += chances * (1 - chances)
        np.add.at(times[world.days[day]], numbers, 1)
        future += int((~world.available[day][numbers]).sum())
        known += int(np.isin(numbers, world.known[user]).sum())
        repeated += len(numbers) - len(set(numbers))
        error = np.abs(np.array(told) / np.maximum(chances[numbers], 1e-300) - 1)
        worst = max(worst, float(error.max()))
    enough = (expected >= ENOUGH) & (variance > ENOUGH / 2)
    squares = (times - expected)[enough] ** 2 / variance[enough]
    return Found(
        draws=drawn.height,
        positives=pairs.height,
        chi_squared_per_df=round(float(squares.mean()), 4),
        degrees_of_freedom=int(enough.sum()),
        largest_error_of_probability=worst,
        known=known,
        from_the_future=future,
        repeated=repeated,
    )


class _World:
    """What is known of items and users before each day, as arrays over all items."""

    def __init__(
        self, log: pl.DataFrame, exponent: float | None, categories: pl.DataFrame | None
    ) -> None:
        self.numbers = log.select(pl.col("item_id").unique().sort()).with_row_index("number")
        self.items = self.numbers["item_id"].to_list()
        numbered = log.join(self.numbers, on="item_id").with_columns(day=_day("event_time"))
        self.known = {
            user: np.unique(found)
            for user, found in numbered.group_by("user_id").agg("number").iter_rows()
        }
        days = sorted(numbered["day"].unique())
        self.days = {day: place for place, day in enumerate(days)}
        size = len(self.items)
        self.available: dict[int, npt.NDArray[np.bool_]] = {}
        self.weights: dict[int, Floats] = {}
        counts = np.zeros(size)
        for day in days:
            self.available[day] = counts > 0
            self.weights[day] = (
                np.ones(size) if exponent is None else np.maximum(counts, 1) ** exponent
            ) * self.available[day]
            of_day = numbered.filter(pl.col("day") == day)["number"].to_numpy()
            counts = counts + np.bincount(of_day, minlength=size)
        self._categories: npt.NDArray[np.object_] | None = None
        if categories is not None:
            found = self.numbers.join(categories, on="item_id", how="left", maintain_order="left")
            self._categories = found["category"].to_numpy()
        self._places = {item: place for place, item in enumerate(self.items)}

    def chances(self, user: str, anchor: str, day: int) -> Floats:
        """Return the probability of each item to be drawn for a positive of that day."""
        weights = self.weights[day].copy()
        weights[self.known[user]] = 0
        if self._categories is not None:
            weights *= self._categories == self._categories[self._places[anchor]]
        total = weights.sum()
        return np.minimum(DRAWS * weights / total, 1.0) if total else weights


def _day(column: str) -> pl.Expr:
    return pl.col(column).dt.epoch("d").cast(pl.Int64)


def run(folder: Path, compared_rows: int, timed_rows: int, rounds: int) -> dict[str, Any]:
    """Build all tenants in a lake in `folder`, compare and measure; return the figures."""
    os.environ.update(
        ETA_HOME=str(folder),
        DBT_TARGET_PATH=str(folder / "target"),
        DBT_LOG_PATH=str(folder / "logs"),
    )
    # Spark and dbt: not for the tests of the arithmetic
    from benchmarks.training.models import run_models
    from lakehouse.settings import LakeSettings
    from lakehouse.spark.session import open_local_session

    settings = LakeSettings()
    log = Log(compared_rows)
    _store(settings, {f"{name}-of-{seed}": log for name in COMPARED for seed in SEEDS})
    if rounds:
        _store(settings, dict.fromkeys(TIMED, Log(timed_rows)))
    session = open_local_session(settings)
    try:
        run_models(settings, select=["+training_data"])
        found = {name: asdict(one) for name, one in _comparisons(settings, log).items()}
        taken = _seconds(settings, rounds) if rounds else {}
    finally:
        session.stop()
    ratios = {
        f"ratio_of_{kind}": {
            name: _ratio(one, taken[UNIFORM], which) for name, one in taken.items()
        }
        for which, kind in enumerate(("seconds", "processor_seconds"))
    }
    return {
        "compared_interactions": compared_rows,
        "timed_interactions": timed_rows if rounds else 0,
        "rounds": rounds,
        "comparisons": found,
        "seconds": {name: [round(one, 2) for one, _ in each] for name, each in taken.items()},
        **ratios,
    }


def _store(settings: "LakeSettings", logs: Mapping[str, Log]) -> None:
    """Store the log of each tenant; a name ends in `-of-` and its seed, else that is 1."""
    from benchmarks.training.raw import store, store_catalogue
    from lakehouse.contracts.tenant import TenantSettings
    from lakehouse.storage.lake import Lake
    from lakehouse.training.tenant_settings import publish_tenant_settings

    asked = {}
    for number, (tenant_id, log) in enumerate(logs.items()):
        store(settings, tenant_id, log.pieces(), first_batch=1_000 * number)
        store_catalogue(settings, tenant_id, log.catalogue())
        name, _, seed = tenant_id.partition("-of-")
        asked[tenant_id] = TenantSettings.model_validate(settings_of(name, int(seed or 1)))
    publish_tenant_settings(Lake(settings), asked, datetime.now(UTC))


def _comparisons(settings: "LakeSettings", log: Log) -> dict[str, Found]:
    from lakehouse.storage.lake import Lake

    rows = pl.concat(log.pieces())
    categories = log.catalogue().select("item_id", "category").unique()
    query = QueryBuilder().register("d", Lake(settings).built("training.training_data"))
    found = {}
    for name, exponent in {**EXPONENTS, CATEGORY: None}.items():
        way = CATEGORY if exponent is None else "popularity"
        of_category = categories if exponent is None else None
        by_seed = []
        for seed in SEEDS:
            drawn = pl.DataFrame(
                query.execute(
                    "select user_id, item_id, anchor_item_id, sampling_probability, event_time "
                    f"from d where tenant_id = '{name}-of-{seed}' and drawn_by = '{way}'"
                ).read_all()
            )
            by_seed.append(compared(rows, drawn, exponent=exponent, categories=of_category))
        found[name] = together(by_seed)
    return found


def _seconds(settings: "LakeSettings", rounds: int) -> dict[str, list[tuple[float, float]]]:
    """Seconds by the clock and of the processor of each round, and of one before in a cold JVM."""
    from benchmarks.training.memory import JavaProcess
    from benchmarks.training.models import run_models

    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in TIMED}
    with JavaProcess().sampled() as java:
        for _ in range(rounds + 1):
            for name in TIMED:
                one = run_models(settings, select=["training_data"], tenant_id=name, java=java)
                taken[name].append(
                    (one.by_model["training_data"], one.processor_by_model["training_data"])
                )
    return taken


def _ratio(found: list[tuple[float, float]], base: list[tuple[float, float]], which: int) -> float:
    """The median of the rounds' ratios, without the first round."""
    return round(
        median(one[which] / other[which] for one, other in zip(found[1:], base[1:], strict=True)), 3
    )


def main() -> None:
    """Run the benchmark, print JSON and write the figures of the results' page."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--compared", type=int, default=40_000, help="interactions of a tenant")
    parser.add_argument("--timed", type=int, default=300_000, help="interactions of a tenant")
    parser.add_argument("--rounds", type=int, default=5, help="of seconds; 0: compare only")
    parser.add_argument("--folder", type=Path, help="keep the lake here")
    parser.add_argument("--dry-run", action="store_true", help="leave benchmarks/results as it is")
    options = parser.parse_args()
    with TemporaryDirectory(prefix="eta-bench-") as temporary:
        folder = options.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        found = run(folder, options.compared, options.timed, options.rounds)
    print(json.dumps(found, indent=2))
    if not options.dry_run:
        RESULT.write_text(json.dumps(_document(found), indent=2, ensure_ascii=False) + "\n")


def _document(found: dict[str, Any]) -> dict[str, Any]:
    texts = {f"popularity-{round(100 * one)}": f"popularity^{one:g}" for one in EXPONENTS.values()}
    texts |= {UNIFORM: "uniform", CATEGORY: "within the category", MIXED: "5 : 3 : 2"}
    seconds = found["ratio_of_seconds"]
    rows = []
    for name in (UNIFORM, *COMPARED, MIXED):
        one = found["comparisons"].get(name)
        rows.append(
            [
                texts[name],
                f"{one['draws']:,}" if one else "–",
                f"{one['chi_squared_per_df']:.3f}" if one else "–",
                f"{one['degrees_of_freedom']:,}" if one else "–",
                f"{seconds[name]:.2f}" if name in seconds else "–",
            ]
        )
    wrong = sum(
        one[name]
        for one in found["comparisons"].values()
        for name in ("known", "from_the_future", "repeated")
    )
    return {
        "title": "Negatives by popularity and within the category",
        "page": "models",
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "machine": "2 cores",
        "command": "uv run python -m benchmarks.negatives",
        "decisions": ["0071"],
        "columns": [
            "drawn",
            "draws compared",
            "chi²/df",
            "df",
            "seconds of `training_data`, uniform = 1",
        ],
        "rows": rows,
        "note": f"{wrong} draws were of an item that the user knew, that came later, or that stood "
        "twice. chi² is against the exact expectation, over items and days, of "
        f"{len(SEEDS)} seeds; {found['compared_interactions']:,} generated interactions each. "
        f"Seconds: medians of {found['rounds']} rounds, {found['timed_interactions']:,} "
        "interactions of each tenant; 5 : 3 : 2 is uniform, by popularity^0.75 and within the "
        "category.",
    }


if __name__ == "__main__":
    main()

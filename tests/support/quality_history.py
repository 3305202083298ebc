"""A tenant's quality over weeks, with trouble in it, written as the project writes it."""

import random
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pyarrow as pa
from deltalake import write_deltalake

from lakehouse.contracts.tables import (
    DATA_QUALITY,
    INGEST_LEDGER,
    OPS_DATA_QUALITY,
    OPS_INGEST_LEDGER,
)
from lakehouse.control.database import ControlDatabase
from lakehouse.quality.outcomes import CheckOutcome, verdict
from lakehouse.quality.report import new_report_path, write_report
from lakehouse.settings import LakeSettings
from lakehouse.storage.build_reports import BuildReport, NodeResult, write_build_report
from lakehouse.storage.cost_reports import Kept, write_costs, write_kept
from lakehouse.storage.lake import Lake
from lakehouse.storage.tables import ensure_tables

EVERY = timedelta(hours=6)
DAYS = 26

MODELS = (
    *("stg_interactions", "stg_items", "user_features", "item_features", "recent_interactions"),
    *("positives", "sampled_negatives", "training_data", "join_rates"),
)
BAD_TIMES = CheckOutcome(
    check="raw_event_time_is_in_range",
    layer="raw",
    table="raw.interactions",
    measured=412,
    expected="0",
    sentence="412 of 9,870 interactions lie outside the tenant's time range.",
    see='uv run dbt show --inline "select min(event_time) from raw.interactions"',
    samples=({"event_id": "masked-5f1c", "event_time": "1970-01-20 02:33:20"},),
)
LOOSE_ITEMS = CheckOutcome(
    check="nearly_all_items_are_in_the_catalogue",
    layer="staging",
    table="staging.stg_items",
    measured=0.914,
    expected="at least 0.95",
    sentence="The catalogue has the item of 91.4 % of the interactions.",
    see='uv run dbt show --inline "select item_id from staging.stg_items"',
)
FIGURES = {
    "raw": {"interaction_count": 9870, "out_of_range_count": 412, "catalogue_item_count": 627},
    "staging": {"interaction_count": 9458, "duplicate_event_count": 0},
    "training": {"positive_count": 2210, "sampled_negative_count": 8840},
}


def plant_measurements(
    settings: LakeSettings, tenant_id: str, now: datetime, *, trouble: bool, seed: int = 7
) -> None:
    """A measurement every six hours for weeks; `trouble`: a bad week of times, a late delivery."""
    rows = [
        _measurement(tenant_id, data_type, now - age, age, trouble, random.Random(f"{seed}{age}"))
        for data_type in ("interactions", "items")
        for age in _ages()
        if data_type == "interactions" or age % timedelta(days=1) < EVERY
    ]
    ensure_tables(Lake(settings))
    table = pa.Table.from_pylist(rows, DATA_QUALITY)
    write_deltalake(Lake(settings).table(OPS_DATA_QUALITY), table, mode="append")


def plant_arrival(settings: LakeSettings, tenant_id: str, moment: datetime) -> None:
    """A batch of each data type in the ledger; freshness is its age."""
    ensure_tables(Lake(settings))
    rows = [
        {
            **dict.fromkeys(INGEST_LEDGER.names, 0),
            "tenant_id": tenant_id,
            "ingest_date": moment.date(),
            "data_type": data_type,
            "source": "csv",
            "source_ref": "batch",
            "batch_id": f"planted-{data_type}",
            "attempt": 1,
            "known_at": moment,
        }
        for data_type in ("interactions", "items")
    ]
    table = pa.Table.from_pylist(rows, INGEST_LEDGER)
    write_deltalake(Lake(settings).table(OPS_INGEST_LEDGER), table, mode="append")


def plant_gates(settings: LakeSettings, tenants: dict[str, bool], now: datetime) -> None:
    """A verdict a day; a tenant with trouble (True) fails from nine to six days ago, and today."""
    for day in range(12, -1, -1):
        moment = now - timedelta(days=day, minutes=3)
        is_bad = 6 <= day <= 9 or day == 0
        path = new_report_path(settings.home_dir, moment)
        file = path.relative_to(settings.home_dir).as_posix()
        results = {
            name: verdict(
                name,
                (BAD_TIMES,) if is_bad and has_trouble else (),
                (LOOSE_ITEMS,) if has_trouble and day < 5 else (),
                FIGURES,
                checked_at=moment.isoformat(),
                report_file=file,
            )
            for name, has_trouble in tenants.items()
        }
        write_report(path, results, checked_at=moment, seconds=4.2)


def plant_runs(
    settings: LakeSettings, tenants: dict[str, bool], now: datetime, *, days: int = 6
) -> None:
    """A run and its dbt results a day; a test fails in one, and the last refuses the troubled."""
    for day in range(days - 1, -1, -1):
        moment = now - timedelta(days=day, minutes=20)
        run_id = f"prepare_training_data/scheduled__{moment:%Y-%m-%dT%H:%M:%S}+00:00"
        database = ControlDatabase.open(settings.control_url, clock=_stepping(moment))
        database.runs.start(run_id, {})
        troubled = {n: BAD_TIMES.sentence for n, t in tenants.items() if t and day == 0}
        done = {"new": {n: "snap" for n in tenants if n not in troubled}, "unchanged": []}
        database.runs.note(run_id, "publication", {**done, "refused": troubled, "is_done": True})
        database.runs.finish(run_id, "refused" if troubled else "succeeded")
        database.close()
        write_build_report(settings.home_dir, _build(run_id, moment, is_bad=day == 2))
        cost = {"bytes": 40_000.0, "seconds": 3.5, "processor_seconds": 2.5}
        write_costs(settings.home_dir, moment, {name: {"training": cost} for name in tenants})
    kept = {"raw": Kept(2_500_000, 90_000), "training": Kept(1_250_000_000, 7_000)}
    write_kept(settings.home_dir, dict.fromkeys(tenants, kept))


def _ages() -> Iterator[timedelta]:
    age = timedelta(days=DAYS)
    while age >= timedelta(0):
        yield age
        age -= EVERY


def _measurement(
    tenant_id: str,
    data_type: str,
    moment: datetime,
    age: timedelta,
    trouble: bool,
    rng: random.Random,
) -> dict[str, Any]:
    days = age / timedelta(days=1)
    is_bad = trouble and 6 <= days <= 9
    received = rng.randrange(800, 1_600) if data_type == "interactions" else rng.randrange(20, 60)
    invalid = round(received * (rng.uniform(0.05, 0.16) if is_bad else rng.uniform(0, 0.006)))
    incomplete = round(received * rng.uniform(0, 0.012))
    repeated = round(received * (0.07 if trouble and 14 < days < 15.2 else rng.uniform(0, 0.01)))
    objective = 6 if data_type == "interactions" else 7 * 24
    fresh = rng.uniform(0.2, 2.5)
    if trouble and 17 <= days <= 18.5:
        fresh = (18.5 - days) * 24 + 2
    join = rng.uniform(0.985, 1) if not trouble or days > 5 else rng.uniform(0.90, 0.93)
    shares = [1 - count / received for count in (incomplete, invalid, repeated)]
    consistency = join if data_type == "interactions" else 1.0
    score = min(1.0, objective / fresh) * consistency
    for share in shares:
        score *= share
    return {
        **{name: 0 for name in DATA_QUALITY.names if name.endswith("_count")},
        "tenant_id": tenant_id,
        "data_type": data_type,
        "run_id": f"prepare_training_data/scheduled__{moment:%Y-%m-%dT%H:%M:%S}",
        "measured_at": moment,
        "freshness_hours": fresh,
        "completeness_percent": 100 * shares[0],
        "validity_percent": 100 * shares[1],
        "uniqueness_percent": 100 * shares[2],
        "consistency_percent": 100 * consistency,
        "score": 100 * score,
        "received_count": received,
        "stored_count": received - invalid - incomplete - repeated,
        "duplicate_count": repeated,
        "quarantined_count": invalid + incomplete,
        "incomplete_count": incomplete,
        "invalid_count": invalid,
        "join_rate": join,
        "newest_known_at": moment - timedelta(hours=fresh),
        "ledger_version": 1,
    }


def _build(run_id: str, moment: datetime, *, is_bad: bool) -> BuildReport:
    rng = random.Random(run_id)
    nodes = []
    for name in MODELS:
        nodes.append(NodeResult(name, "model", "success", round(rng.uniform(1, 9), 2)))
        for test in ("unique", "not_null"):
            failed = is_bad and name == "join_rates" and test == "unique"
            result = ("fail", 3) if failed else ("pass", 0)
            seconds = round(rng.uniform(0.3, 1.4), 2)
            nodes.append(NodeResult(f"{test}_{name}_key", "test", result[0], seconds, result[1]))
    total = sum(node.seconds for node in nodes)
    return BuildReport(run_id, None, "build", moment, round(total, 2), not is_bad, tuple(nodes))


def _stepping(moment: datetime) -> Any:
    """A clock that goes on by forty seconds each time it is read."""
    state = {"now": moment}

    def now() -> datetime:
        state["now"] += timedelta(seconds=40)
        return state["now"]

    return now

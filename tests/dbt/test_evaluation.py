"""Evaluation snapshots against the slow and obvious computation over the same rows."""

import json
from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest
from deltalake import DeltaTable

from lakehouse.contracts.tenant import EvaluationSettings
from lakehouse.errors import EtaError
from lakehouse.storage.lake import Lake
from lakehouse.training.build import ON_REQUEST, build
from lakehouse.training.content_hash import EVALUATED, ContentHash
from lakehouse.training.evaluation import make_evaluations
from lakehouse.training.export.run import ExportFormat, export_snapshot
from lakehouse.training.manifest import EvaluationManifest
from lakehouse.training.snapshots import EVALUATION_SETS
from tests.support import reference
from tests.support.lake import NOON, SessionLake, partitioned
from tests.support.reference_split import Expected, boundaries
from tests.support.split_tenants import SPLITS

TABLES = ("splits", "pairs", "items", "data", "contents")


@pytest.fixture(scope="module")
def expected(built: dict) -> dict[str, Expected]:
    """What the reference makes of every tenant's rows."""
    return built["splits"]


def publish(lake: SessionLake, tenants: Iterable[str]) -> dict[str, EvaluationManifest]:
    """Publish what the tables hold."""
    wanted = {name: SPLITS[name] for name in tenants}
    made = make_evaluations(lake.settings, wanted, lambda _: None, lambda: datetime.now(UTC))
    return {manifest.tenant_id: manifest for manifest in made}


@pytest.fixture(scope="module")
def made(lake: SessionLake, expected: dict[str, Expected]) -> dict[str, EvaluationManifest]:
    """One build for all, with the tests of its tables."""
    requests = {name: split.model_dump(mode="json") for name, split in SPLITS.items()}
    lake.build(select=[ON_REQUEST], variables={"evaluation": requests})
    return publish(lake, SPLITS)


def data(lake: SessionLake, tenant: str) -> pl.DataFrame:
    return lake.table("evaluation.evaluation_data", tenant)


@pytest.mark.parametrize("tenant", SPLITS)
def test_the_rows_are_those_of_the_reference(
    lake: SessionLake, expected: dict[str, Expected], made: dict, tenant: str
) -> None:
    rows, wanted = data(lake, tenant), expected[tenant]
    pairs = ("user_id", "item_id")
    for split, found in wanted.positives.items():
        positives = rows.filter((pl.col("split") == split) & (pl.col("label") == 1))
        assert set(positives.select(pairs).iter_rows()) == found, split
        assert positives.height == len(found) > 0
    positives = rows.filter(pl.col("label") == 1)
    types = {tuple(key): kind for *key, kind in positives.select(*pairs, "interaction_type").rows()}
    assert types == {pair: wanted.strongest[pair] for pair in types}
    explicit = rows.filter(pl.col("negative_type") == "explicit")
    assert set(explicit.select(pairs).iter_rows()) == wanted.explicit
    assert set(rows.filter(pl.col("label") == 0)["split"]) == {"train"}


@pytest.mark.parametrize("tenant", SPLITS)
def test_negatives_are_drawn_from_what_training_may_know(
    lake: SessionLake, expected: dict[str, Expected], made: dict, tenant: str
) -> None:
    drawn = defaultdict(list)
    sampled = data(lake, tenant).filter(pl.col("negative_type") == "sampled")
    for row in sampled.iter_rows(named=True):
        drawn[row["user_id"], row["anchor_item_id"]].append(row)
    eligible = expected[tenant].eligible
    assert set(drawn) == {pair for pair, items in eligible.items() if items}
    for pair, rows in drawn.items():
        items = [row["item_id"] for row in rows]
        wanted = min(4, len(eligible[pair]))
        assert len(items) == len(set(items)) == wanted
        assert set(items) <= eligible[pair]
        assert {row["sampling_probability"] for row in rows} == {wanted / len(eligible[pair])}


def test_what_is_taken_later_is_drawn_as_often_as_anything(lake: SessionLake, made: dict) -> None:
    """Else its absence among the negatives would tell what the test holds."""
    rows = data(lake, "split-time")
    held_out = rows.filter(pl.col("split") != "train").select("user_id", "item_id")
    drawn = rows.filter(pl.col("negative_type") == "sampled")
    assert not drawn.join(held_out, on=["user_id", "item_id"], how="semi").is_empty()


@pytest.mark.parametrize("tenant", SPLITS)
def test_the_cold_are_marked_and_popularity_is_trains(
    lake: SessionLake, expected: dict[str, Expected], made: dict, tenant: str
) -> None:
    wanted = expected[tenant]
    for row in data(lake, tenant).iter_rows(named=True):
        assert row["is_cold_user"] == (row["user_id"] not in wanted.warm_users)
        assert row["is_cold_item"] == (row["item_id"] not in wanted.popularity)
    items = lake.table("evaluation.evaluation_items", tenant)
    counts = dict(items.select("item_id", "train_positive_count").iter_rows())
    assert {item: count for item, count in counts.items() if count} == wanted.popularity


def test_the_manifest_holds_the_split_and_what_the_rows_are(
    lake: SessionLake, expected: dict[str, Expected], made: dict[str, EvaluationManifest]
) -> None:
    for tenant, manifest in made.items():
        rows = data(lake, tenant).with_columns(tenant_id=pl.lit(tenant))
        counted = ContentHash(EVALUATED)
        counted.update(rows.sample(fraction=1, shuffle=True, seed=1))
        assert counted.hexdigest() == manifest.content_hash
        sizes = {split: len(pairs) for split, pairs in expected[tenant].positives.items()}
        held_out = manifest.held_out
        assert (manifest.counts.positives, held_out.validation, held_out.test) == (
            sizes["train"], sizes["validation"], sizes["test"],
        )  # fmt: skip
        assert manifest.row_count == rows.height
        later = rows.filter(pl.col("split") != "train")
        assert held_out.of_cold_users == later["is_cold_user"].sum()
        assert held_out.of_cold_items == later["is_cold_item"].sum()
    assert made["split-frequent"].held_out.infrequent > 0
    assert made["split-asked"].split.train_until == NOON + timedelta(days=2)
    assert made["split-users"].split.train_until is None
    firsts = reference.positives(lake.table("staging.stg_interactions", "split-time").to_dicts())
    split = made["split-time"].split
    wanted = boundaries(firsts.values(), SPLITS["split-time"])
    assert (split.train_until, split.validation_until) == wanted


@pytest.fixture(scope="module")
def again(lake: SessionLake, made: dict[str, EvaluationManifest]) -> dict[str, pl.DataFrame]:
    """The rows before a second run: of one tenant the same request, of one a senseless one."""
    before = {name: data(lake, name) for name in SPLITS}
    late = EvaluationSettings(train_until=datetime(2029, 1, 1))

    def run(variables: dict[str, Any]) -> None:
        lake.dbt("run", "--select", ON_REQUEST, "--vars", json.dumps(variables))

    wanted = {"split-time": SPLITS["split-time"], "split-asked": late}
    with partitioned(7), pytest.raises(EtaError, match="split-asked no positive to predict"):
        make_evaluations(lake.settings, wanted, run, lambda: datetime.now(UTC))
    return before


def test_the_same_request_gives_the_same_rows_and_no_second_snapshot(
    lake: SessionLake, made: dict[str, EvaluationManifest], again: dict[str, pl.DataFrame]
) -> None:
    """With other shuffle partitions, too."""
    assert data(lake, "split-time").equals(again["split-time"])
    assert publish(lake, ["split-time"]) == {"split-time": made["split-time"]}
    assert EVALUATION_SETS.all_of(Lake(lake.settings), "split-time") == [made["split-time"]]


def test_a_run_leaves_the_rows_of_other_tenants_alone(
    lake: SessionLake, again: dict[str, pl.DataFrame]
) -> None:
    for name in ("split-users", "split-frequent", "split-tied"):
        assert data(lake, name).equals(again[name])
    assert set(data(lake, "split-asked")["split"]) == {"train"}


def test_a_split_that_leaves_nothing_to_predict_is_not_published(
    lake: SessionLake, made: dict[str, EvaluationManifest], again: dict[str, pl.DataFrame]
) -> None:
    assert EVALUATION_SETS.all_of(Lake(lake.settings), "split-asked") == [made["split-asked"]]


def test_an_export_reads_the_version_that_is_pinned(
    lake: SessionLake, made: dict[str, EvaluationManifest], again: dict, tmp_path: Any
) -> None:
    manifest = made["split-asked"]
    export_snapshot(Lake(lake.settings), manifest, ExportFormat.PARQUET, tmp_path / "out")
    found = pl.read_parquet(tmp_path / "out/evaluation_data/*/*/*/*.parquet")
    assert found.height == manifest.row_count


def test_a_build_for_which_nobody_asked_leaves_the_tables_alone(
    lake: SessionLake, made: dict
) -> None:
    def versions() -> list[int]:
        folder = f"{lake.settings.lake}/evaluation/evaluation"
        return [DeltaTable(f"{folder}_{name}").version() for name in TABLES]

    before = versions()
    models = [f"evaluation_{name}" for name in TABLES]
    outcome = lake.dbt("build", "--select", *models, "--exclude", "test_type:unit")
    nodes = [result for result in outcome.result if result.node.resource_type != "operation"]
    done = {result.node.name: result.message for result in nodes}
    assert done == dict.fromkeys(models, "NOT ASKED FOR"), "nor is anything tested"
    assert versions() == before


@pytest.mark.parametrize(
    ("tenant", "wanted", "told"),
    [
        pytest.param("a' or '1'='1", {}, ["tenant_id must be"], id="no tenant id"),
        pytest.param(
            "a",
            {"method": "random", "train_share": 1, "train_til": 1, "minimum_user_positives": -1},
            ["method must be", "leave a share", "no setting train_til", "must be 0 or more"],
            id="nothing right",
        ),
    ],
)
def test_a_request_that_makes_no_sense_never_reaches_sql(
    lake: SessionLake, made: dict, tenant: str, wanted: dict, told: list[str]
) -> None:
    with pytest.raises(EtaError) as error:
        build(lake.settings, select=[ON_REQUEST], variables={"evaluation": {tenant: wanted}})
    for text in told:
        assert text in str(error.value)


def test_the_models_own_unit_tests_pass(lake: SessionLake, made: dict) -> None:
    variables = json.dumps({"evaluation": {"a": {}}})
    outcome = lake.dbt("test", "--select", f"test_type:unit,{ON_REQUEST}", "--vars", variables)
    assert len(outcome.result) >= 7

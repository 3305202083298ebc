"""New negatives: none known, none from the future, none twice, each with the probability it has."""

from collections import Counter, defaultdict
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from eta_data import DataError, Encoders, OtherDataError, TrainingSet
from tests.support.exported import NOON, rows_of, write_export

ITEMS = 40
HOURS = 3
MOST_CHI2 = 5.0
"""Standard deviations; draws are a function of the seed, so this is no chance."""


def catalogue() -> pa.Table:
    """Items `i0` … `i39` of the positives, which became available one after the other."""
    return pa.table(
        {
            "item_id": [f"i{number}" for number in range(ITEMS)],
            "available_at": pa.array(
                [NOON + timedelta(minutes=number * 10 - 200) for number in range(ITEMS)],
                pa.timestamp("us", tz="UTC"),
            ),
        }
    )


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> TrainingSet:
    folder = write_export(tmp_path_factory.mktemp("negatives") / "acme", rows_of(ITEMS, users=3))
    return TrainingSet.open(folder, "acme")


def eligible(known: pa.Table | None = None) -> dict[int, set[str]]:
    """Row of each positive → the items that may be drawn for it, by brute force."""
    rows = rows_of(ITEMS, users=3).to_pylist()
    met: dict[str, set[str]] = {}
    for row in [*rows, *(known.to_pylist() if known else [])]:
        if row.get("draw_index", 0) == 0:
            met.setdefault(row["user_id"], set()).add(row["item_id"])
    return {
        row["row"]: {
            item["item_id"]
            for item in catalogue().to_pylist()
            if item["available_at"].replace(minute=0) <= row["event_time"]
        }
        - met[row["user_id"]]
        for row in rows
        if row["label"] == 1.0
    }


def drawn(loader: Any, epochs: int) -> Any:
    for _ in range(epochs):
        for batch in loader:
            yield from batch.to_pylist()


@pytest.mark.parametrize("count", [1, 4, 30])
def test_each_eligible_item_is_drawn_with_the_same_probability(
    data: TrainingSet, count: int
) -> None:
    loader = data.arrow(
        8, negatives=data.sampler(count, catalogue=catalogue()), columns=["row"], remainder="keep"
    )
    wanted = eligible()
    epochs = 600
    seen: dict[int, Counter[str]] = {row: Counter() for row in wanted}
    for row in drawn(loader, epochs):
        items = row["negative_item_id"]
        may = wanted[row["row"]]
        assert len(items) == len(set(items)) == min(count, len(may))
        assert set(items) <= may
        assert row["negative_probability"] == [len(items) / len(may)] * len(items) if may else True
        seen[row["row"]].update(items)
    deviations = []
    for row, may in wanted.items():
        if len(may) <= count:
            assert all(seen[row][item] == epochs for item in may)
            continue
        chance = count / len(may)
        for item in may:
            spread = (epochs * chance * (1 - chance)) ** 0.5
            deviations.append((seen[row][item] - epochs * chance) / spread)
    if deviations:
        chi2, df = float(np.square(deviations).sum()), len(deviations)
        assert abs(chi2 - df) / (2 * df) ** 0.5 < MOST_CHI2, (chi2, df)


def test_draws_by_popularity_have_the_probability_they_say(data: TrainingSet) -> None:
    loader = data.arrow(
        8, negatives=data.sampler(3, alpha=0.75, catalogue=catalogue()), columns=["row"],
        remainder="keep",
    )  # fmt: skip
    wanted = eligible()
    weights = dict.fromkeys((f"i{number}" for number in range(ITEMS)), 2**0.75)
    epochs, chi2, df = 600, 0.0, 0
    seen: dict[int, Counter[str]] = {row: Counter() for row in wanted}
    for row in drawn(loader, epochs):
        may = wanted[row["row"]]
        assert set(row["negative_item_id"]) <= may
        assert len(row["negative_item_id"]) == (3 if may else 0)
        total = sum(weights[item] for item in may)
        for item, chance in zip(row["negative_item_id"], row["negative_probability"], strict=True):
            assert chance == pytest.approx(weights[item] / total, rel=1e-4)
        seen[row["row"]].update(row["negative_item_id"])
    for row, may in wanted.items():
        for item in may if len(may) > 1 else ():
            expected = 3 * epochs / len(may)
            chi2 += (seen[row][item] - expected) ** 2 / expected
        df += max(0, len(may) - 1)
    assert abs(chi2 - df) / (2 * df) ** 0.5 < MOST_CHI2, (chi2, df)


def test_popular_items_are_drawn_more_often(tmp_path: Path) -> None:
    rows = rows_of(200, negatives=0, users=100)
    few = [f"p{min(int(n**0.5), 9)}" for n in range(rows.num_rows)]
    rows = rows.set_column(2, "item_id", pa.array(few))
    data = TrainingSet.open(write_export(tmp_path / "acme", rows), "acme")
    noons = pa.array([NOON] * 12, pa.timestamp("us", tz="UTC"))
    items = pa.table({"item_id": [f"p{n}" for n in range(12)], "available_at": noons})
    taken = Counter(
        item for item, label in zip(few, rows.column("label").to_pylist(), strict=True) if label
    )
    loader = data.arrow(20, negatives=data.sampler(2, alpha=1.0, catalogue=items), remainder="keep")
    chi2 = df = 0.0
    counts: Counter[str] = Counter()
    expected: dict[str, float] = defaultdict(float)
    met: dict[str, set[str]] = {}
    for row in rows.to_pylist():
        met.setdefault(row["user_id"], set()).add(row["item_id"])
    for row in drawn(loader, 200):
        may = [item for item in items.column(0).to_pylist() if item not in met[row["user_id"]]]
        total = sum(1 + taken[item] for item in may)
        for item in may:
            expected[item] += 2 * (1 + taken[item]) / total
        counts.update(row["negative_item_id"])
    chi2 = sum((counts[item] - expected[item]) ** 2 / expected[item] for item in expected)
    df = len(expected) - 1
    assert abs(chi2 - df) / (2 * df) ** 0.5 < MOST_CHI2, (chi2, df)
    assert counts["p9"] > 5 * counts["p11"] > 0


def test_more_known_pairs_may_be_given(data: TrainingSet) -> None:
    known = pa.table({"user_id": ["u0", "u1", "new", None], "item_id": ["i3", "x", "i1", "i2"]})
    sampler = data.sampler(ITEMS, catalogue=catalogue(), known=known)
    wanted = eligible(known.drop_null().slice(0, 1))
    for row in drawn(data.arrow(8, negatives=sampler, remainder="keep"), 1):
        assert set(row["negative_item_id"]) == wanted[row["row"]]


def test_draws_belong_to_the_row_whatever_ranks_read_it(data: TrainingSet) -> None:
    sampler = data.sampler(3, catalogue=catalogue())
    how: Any = {"negatives": sampler, "columns": ["row"], "window_rows": 8, "streams": 2}
    single = {r["row"]: r["negative_item_id"] for r in drawn(data.arrow(4, **how), 1)}
    several = [
        row
        for rank in range(3)
        for row in drawn(data.arrow(4, **how, rank=rank, ranks=3, remainder="pad"), 1)
    ]
    assert len(several) > len(single) == 40
    assert all(single[row["row"]] == row["negative_item_id"] for row in several)
    other = {r["row"]: r["negative_item_id"] for r in drawn(data.arrow(4, **how, seed=1), 1)}
    assert sum(single[row] != other[row] for row in single) > 20


def test_items_are_numbered_as_the_rows_are(data: TrainingSet) -> None:
    encoders = Encoders.fit(data, {"item": "item_id"})
    sampler = data.sampler(3, catalogue=catalogue())
    plain = list(drawn(data.arrow(8, negatives=sampler), 1))
    codes = list(drawn(data.arrow(8, negatives=sampler, encoders=encoders), 1))
    for text, code in zip(plain, codes, strict=True):
        found = encoders["item"].decode(pa.array(code["negative_item_id"], pa.int32()))
        assert found.to_pylist() == text["negative_item_id"]
    arrays = next(iter(data.numpy(8, negatives=sampler, encoders=encoders, columns=["item_id"])))
    assert arrays["negative_item_id"].shape == arrays["negative_probability"].shape == (8, 3)


def test_a_state_with_other_negatives_is_refused(data: TrainingSet) -> None:
    state = data.arrow(8, negatives=data.sampler(3, catalogue=catalogue())).state_dict()
    data.arrow(8, negatives=data.sampler(3, catalogue=catalogue())).load_state_dict(state)
    for sampler in (data.sampler(4, catalogue=catalogue()), None):
        with pytest.raises(OtherDataError, match="with other new negatives"):
            data.arrow(8, negatives=sampler).load_state_dict(state)


def test_what_cannot_be_drawn_from_is_refused(data: TrainingSet) -> None:
    with pytest.raises(DataError, match="when items became available"):
        data.sampler()
    with pytest.raises(DataError, match="no column available_at"):
        data.sampler(catalogue=pa.table({"item_id": ["a"]}))
    with pytest.raises(DataError, match="has an item twice"):
        data.sampler(catalogue=pa.concat_tables([catalogue(), catalogue()]))
    with pytest.raises(DataError, match="count is 0"):
        data.sampler(0, catalogue=catalogue())
    with pytest.raises(DataError, match="alpha is 5"):
        data.sampler(alpha=5, catalogue=catalogue())
    with pytest.raises(DataError, match="in the row of their positive"):
        data.arrow(8, group=True, negatives=data.sampler(catalogue=catalogue()))


def test_a_sampler_of_another_set_is_refused(data: TrainingSet, tmp_path: Path) -> None:
    rows = rows_of(ITEMS, users=3)
    changed: Any = {"snapshot_id": "20260502T120000000Z-00000000", "content_hash": "0" * 32}
    newer = TrainingSet.open(write_export(tmp_path / "newer", rows, **changed), "acme")
    with pytest.raises(OtherDataError, match="sampler was made of snapshot 20260502T"):
        data.numpy(8, columns=["item_id"], negatives=newer.sampler(3, catalogue=catalogue()))
    theirs = rows.set_column(0, "tenant_id", pa.array(["globex"] * rows.num_rows))
    folder = write_export(tmp_path / "globex", theirs, tenant_id="globex")
    sampler = TrainingSet.open(folder, "globex").sampler(3, catalogue=catalogue())
    with pytest.raises(OtherDataError, match="of another tenant, not of") as caught:
        data.arrow(8, negatives=sampler)
    assert "globex" not in str(caught.value)


def of_tenants(table: pa.Table, *tenants: str) -> pa.Table:
    """The rows of a table once for each tenant; items of another than acme have its name."""
    return pa.concat_tables(
        table.append_column("tenant_id", pa.array([name] * table.num_rows)).set_column(
            table.column_names.index("item_id"),
            "item_id",
            pa.array([f"{'' if name == 'acme' else name}{item}" for item in items]),
        )
        for name in tenants
        for items in [table.column("item_id").to_pylist()]
    )


@pytest.mark.parametrize("alpha", [0.0, 0.75])
def test_tables_of_several_tenants_are_read_for_one(data: TrainingSet, alpha: float) -> None:
    known = pa.table({"user_id": ["u0", "u1", "u2"], "item_id": ["i3", "i4", "i5"]})
    theirs = of_tenants(pa.table({"user_id": ["u0"], "item_id": ["i9"]}), "globex")
    theirs = theirs.set_column(1, "item_id", pa.array(["i9"]))
    plain = data.sampler(5, alpha=alpha, catalogue=catalogue(), known=known)
    mixed = data.sampler(
        5,
        alpha=alpha,
        catalogue=of_tenants(catalogue(), "globex", "acme", "initech"),
        known=pa.concat_tables(
            [of_tenants(known, "acme"), theirs.select(["user_id", "item_id", "tenant_id"])]
        ),
    )
    first, second = (list(drawn(data.arrow(8, negatives=s), 1)) for s in (plain, mixed))
    assert first == second
    for name in ("catalogue", "known"):
        tables = {"catalogue": catalogue(), "known": known}
        tables[name] = of_tenants(tables[name], "globex", "initech")
        with pytest.raises(DataError, match=f"{name} has no row of acme"):
            data.sampler(5, **tables)


def test_what_is_no_table_of_the_right_columns_is_refused(data: TrainingSet) -> None:
    how: Any
    pairs = [("u0", "i1")]
    for how, message in [
        ({"catalogue": catalogue().to_pandas()}, "catalogue is a DataFrame, not a table"),
        ({"catalogue": catalogue(), "known": pairs}, "known is a list, not a table"),
        ({"catalogue": catalogue(), "known": catalogue()}, "known has no column user_id"),
        ({"catalogue": catalogue(), "count": 1.5}, "count is 1.5"),
        ({"catalogue": pa.table({"item_id": ["a"], "available_at": ["x"]})}, "of other types"),
    ]:
        with pytest.raises(DataError, match=message):
            data.sampler(**how)
    large = catalogue().set_column(0, "item_id", catalogue().column(0).cast(pa.large_string()))
    assert data.sampler(3, catalogue=large).digest == data.sampler(3, catalogue=catalogue()).digest
    how = {"negatives": 3}
    with pytest.raises(DataError, match="negatives is a int"):
        data.numpy(8, **how)

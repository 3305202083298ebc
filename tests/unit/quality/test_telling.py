"""What Soda found is told to each tenant it is about, each row read once."""

from collections.abc import Iterator, Mapping
from typing import Any

from lakehouse.quality.soda import Finding
from lakehouse.quality.telling import outcomes

TEXTS = {
    "measured": "rows",
    "expected": "at most {threshold}",
    "sentence": "{tenant_id} has {rows} rows.",
    "see": "select * from t where tenant_id = '{tenant_id}'",
}


class Counted(tuple[Mapping[str, Any], ...]):
    """Rows that count how often they are gone through."""

    times = 0

    def __iter__(self) -> Iterator[Mapping[str, Any]]:
        type(self).times += 1
        return super().__iter__()


def finding(check: str, *tenants: str, is_warning: bool = False) -> Finding:
    rows = Counted({"tenant_id": name, "rows": 1} for name in tenants)
    return Finding(check, "raw", "raw.items", is_warning, TEXTS, rows)


def test_each_tenant_is_told_its_own_and_nobody_elses() -> None:
    found = [
        finding("few", "acme", "globex"),
        finding("few", "acme", is_warning=True),
        finding("old", "globex", "stranger", is_warning=True),
    ]
    samples = {("few", "acme"): ({"user_id": "u…1"},)}
    told = outcomes(found, ["acme", "globex", "initech"], samples)
    names = {
        tenant: ([one.check for one in failures], [one.check for one in warnings])
        for tenant, (failures, warnings) in told.items()
    }
    # what fails is not told again as a warning
    assert names == {"acme": (["few"], []), "globex": (["few"], ["old"]), "initech": ([], [])}
    assert told["acme"][0][0].samples == ({"user_id": "u…1"},)
    assert told["globex"][0][0].samples == ()


def test_columns_of_a_table_concern_every_tenant() -> None:
    broken = Finding("columns", "raw", "raw.items", False, TEXTS, measured="price is missing")
    told = outcomes([broken], ["acme", "globex"], {})
    assert [failures[0].measured for failures, _ in told.values()] == ["price is missing"] * 2


def test_rows_are_gone_through_once_however_many_tenants_there_are() -> None:
    Counted.times = 0
    outcomes([finding("few", "acme")], [f"tenant-{n}" for n in range(50)], {})
    assert Counted.times == 1

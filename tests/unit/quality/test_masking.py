"""What the report shows of a row: numbers, times and kinds, no user, item or event."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from lakehouse.quality.masking import Masker


def test_identifiers_and_unknown_texts_are_masked_and_the_rest_stays() -> None:
    row = Masker(b"key").row(
        {
            "user_id": "ann@example.org",
            "item_id": "ann@example.org",
            "interaction_type": "stare at ann",
            "price": Decimal("9.50"),
            "row_count": 3,
            "event_time": datetime(2026, 5, 1, 12, tzinfo=UTC),
            "event_date": date(2026, 5, 1),
            "batch_id": "b1",
            "source_ref": "line:000007",
            "rating": None,
            "event_id": "",
        }
    )
    assert "ann" not in str(row)
    assert row["user_id"][0] == "u"
    assert row["user_id"][2:] == row["item_id"][2:]  # the same text
    assert len(row["user_id"]) == 6
    assert row["interaction_type"].startswith("i…")
    assert (row["price"], row["row_count"]) == (9.5, 3)
    assert row["event_time"] == "2026-05-01T12:00:00+00:00"
    assert row["event_date"] == "2026-05-01"
    assert (row["batch_id"], row["source_ref"]) == ("b1", "line:000007")
    assert (row["rating"], row["event_id"]) == (None, "")


@pytest.mark.parametrize("kind", ["view", "purchase"])
def test_a_known_type_is_no_secret(kind: str) -> None:
    assert Masker().row({"interaction_type": kind}) == {"interaction_type": kind}
    assert Masker().row({"user_id": kind}) != {"user_id": kind}


def test_no_two_reports_mask_alike() -> None:
    masks = {Masker().row({"user_id": "ann"})["user_id"] for _ in range(50)}
    assert len(masks) > 40
    assert "key" not in repr(Masker())

"""What an inspection says of files as people have them: it asks where the file does not say."""

import codecs
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from ingest_service.sources.inspecting.answer import answer_of
from ingest_service.sources.inspecting.event_words import meaning_of, rating_map
from ingest_service.sources.inspecting.inspection import InspectOrder, inspect
from ingest_service.sources.inspecting.times import guess_times
from lakehouse.contracts.mapping import FileRefusedError
from lakehouse.contracts.spellings import distance
from lakehouse.contracts.tenant import DataType, TenantSettings
from tests.support.examples import examples

NOW = datetime(2026, 6, 1, tzinfo=UTC)


def answer(folder: Path, content: str | bytes, **how: Any) -> dict[str, Any]:
    path = folder / "rows"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return answer_of(inspect(InspectOrder(path, **how), NOW))


def meanings(found: dict[str, Any]) -> dict[str, str]:
    return {one["meaning"]: one["name"] for one in found["columns"] if one["meaning"]}


@pytest.mark.parametrize(
    ("values", "readings"),
    [
        pytest.param(["1717232400", "1717232401"], [{"unit": "s"}], id="seconds"),
        pytest.param(["1717232400000"], [{}], id="milliseconds, the default"),
        pytest.param(["1717232400000000"], [{"unit": "us"}], id="microseconds"),
        pytest.param(["1717232400.25"], [{"unit": "s"}], id="seconds with a fraction"),
        pytest.param(["2024-05-01T10:00:00Z"], [{"unit": "iso"}], id="ISO"),
        pytest.param(
            ["2024-05-01 10:00:00 UTC"], [{"format": "%Y-%m-%d %H:%M:%S UTC"}], id="UTC behind it"
        ),
        pytest.param(
            ["2024-01-05 10:22:11 -0500"], [{"format": "%Y-%m-%d %H:%M:%S %z"}], id="an offset"
        ),
        pytest.param(["03.04.2024 10:00"], [{"format": "%d.%m.%Y %H:%M"}], id="points: day first"),
        pytest.param(["13/04/2024", "01/02/2024"], [{"format": "%d/%m/%Y"}], id="a day over 12"),
        pytest.param(["04/13/2024", "01/02/2024"], [{"format": "%m/%d/%Y"}], id="a month first"),
        pytest.param(
            ["03/04/2024", "01/02/2024"],
            [{"format": "%d/%m/%Y"}, {"format": "%m/%d/%Y"}],
            id="either",
        ),
        pytest.param(["4/13/24 1:05 PM"], [{"format": "%m/%d/%y %I:%M %p"}], id="half days"),
        pytest.param(["20240105"], [{"format": "%Y%m%d"}], id="digits alone"),
        pytest.param(["202401051322"], [{"format": "%Y%m%d%H%M"}], id="and minutes"),
        pytest.param(["5 Jan 2024"], [{"format": "%d %b %Y"}], id="a month's name"),
        pytest.param(["13/04/2024", "04/13/2024"], None, id="both ways in one file"),
        pytest.param(["45296.5"], None, id="days of a spreadsheet"),
        pytest.param(["12", "15"], None, id="numbers"),
        pytest.param(["soon"], None, id="a word"),
    ],
)
def test_times_are_told_or_asked(values: list[str], readings: list[dict[str, str]] | None) -> None:
    found = guess_times(values, NOW)
    if found is None:
        assert readings is None
        return
    assert [one.model_dump(exclude_defaults=True) for one in found.readings] == readings


def test_an_ambiguous_date_is_no_part_of_the_mapping_and_each_choice_is(tmp_path: Path) -> None:
    found = answer(tmp_path, "user,item,event,date\nu,i,view,03/04/2024\nu,j,view,05/06/2024\n")
    assert "timestamps" not in found["proposed_mapping"]
    assert found["counts"]["would_store"] == 0
    (choice,) = found["choices"]
    assert choice["question"] in found["questions"]
    days = set()
    for option in choice["options"]:
        mapping = TenantSettings.model_validate({"sources": {"m": option["mapping"]}}).sources["m"]
        tried = answer(
            tmp_path,
            "user,item,event,date\nu,i,view,03/04/2024\nu,j,view,05/06/2024\n",
            mapping=mapping,
        )
        assert tried["counts"]["would_store"] == 2
        days.add(tried["rows"][0]["event_time"])
    assert days == {"2024-04-03T00:00:00Z", "2024-03-04T00:00:00Z"}


@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("user_id:token", "user_id"),
        ("visitorid", "user_id"),
        ("Kundennummer", "user_id"),
        ("fullVisitorId", "user_id"),
        ("ID Utilisateur", "user_id"),
        ("click_article_id", "item_id"),
        ("Lineitem sku", "item_id"),
        ("Artikel-Nr.", "item_id"),
        ("StockCode", "item_id"),
        ("Événement", "interaction_type"),
        ("eventType", "interaction_type"),
        ("event_time", "timestamp"),
        ("Date hour and minute (YYYYMMDDHHMM)", "timestamp"),
        ("Bestelldatum", "timestamp"),
        ("Verfügbar", "is_active"),
        ("Preis", "price"),
    ],
)
def test_names_mean_fields_in_many_spellings(name: str, field: str) -> None:
    far = distance(name, field)
    assert far is not None
    others = {"user_id", "item_id", "interaction_type", "timestamp"} - {field}
    assert all((distance(name, other) or 9) > far for other in others)


@pytest.mark.parametrize("name", ["user_id", "colour", "id card", "", "::", "2024"])
def test_a_name_means_no_item_by_a_part_of_it(name: str) -> None:
    assert distance(name, "item_id") is None


def test_words_and_ratings() -> None:
    words = {"pv": "view", "Add to cart": "skip", "ORDER_COMPLETED": "purchase", "zap": None}
    assert {word: meaning_of(word) for word in words} == words
    five = rating_map(["4.0", "1.0"])
    assert five == {"5.0": "like", "4.0": "like", "3.0": "view", "2.0": "dislike", "1.0": "dislike"}
    assert rating_map(["1", "1"]) is None, "a count as well as a rating"
    assert rating_map(["1", "7000"]) is None


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "cp1252"], ids=str
)
def test_an_encoding_that_is_sure_is_not_asked(tmp_path: Path, encoding: str) -> None:
    rows = "user;item;when\nJosé;i1;2024-05-01\nMüller;i2;2024-05-02\n"
    found = answer(tmp_path, codecs.encode(rows, encoding))
    assert found["encoding"]["candidates"] == []
    assert found["rows"][0]["user_id"] == "José"
    assert "encoding" not in found["proposed_mapping"]


def test_an_encoding_that_is_not_sure_is_asked_with_samples(tmp_path: Path) -> None:
    rows = "user;item;title\nDětské;1;Příliš žluťoučký\nŠkoda;2;kůň úpěl ďábelské ódy\n"
    found = answer(tmp_path, rows.encode("cp1250"))
    assert found["encoding"]["how"] == "asked"
    first = found["encoding"]["candidates"][0]
    assert first["name"] == "cp1250"
    assert first["sample"] in rows
    assert not first["sample"].isascii()
    assert "Which encoding" in found["questions"][0]
    assert found["proposed_mapping"]["encoding"] == "cp1250"


def test_titles_and_comments_above_the_table(tmp_path: Path) -> None:
    table = "user,item,date\nu,i,2024-01-05\nu,j,2024-01-06\n"
    titled = answer(tmp_path, f"Report of clicks\n\n{table}")
    assert titled["proposed_mapping"]["skip_lines"] == 2
    commented = answer(tmp_path, f"# exported\n# by a till, at night\n{table}")
    assert commented["dialect"]["comment"] == "#"
    for found in (titled, commented):
        assert meanings(found) == {"user_id": "user", "item_id": "item", "timestamp": "date"}
        assert found["counts"]["would_store"] == 2


def test_ids_that_begin_with_a_sign_are_no_comments(tmp_path: Path) -> None:
    found = answer(tmp_path, "order,user,item,date\n#1,u,i,2024-01-05\n#2,u,j,2024-01-06\n")
    assert found["dialect"]["comment"] is None
    assert found["counts"]["would_store"] == 2


def test_a_damaged_line_does_not_hide_the_header(tmp_path: Path) -> None:
    found = answer(tmp_path, "user,item,date\nu,i\nu,j,2024-01-06\nv,j,2024-01-06\n")
    assert found["dialect"]["header"] == "first"
    assert found["dialect"]["skip_lines"] == 0


def test_json_names_within_objects(tmp_path: Path) -> None:
    row = {"who": {"userId": "u"}, "productId": 7, "event": "buy", "ts": 1717232400}
    found = answer(tmp_path, "\n".join([json.dumps(row)] * 2))
    assert found["format"]["name"] == "json"
    assert found["proposed_mapping"]["columns"]["user_id"] == "who.userId"
    assert found["rows"][0]["item_id"] == "7"
    assert found["counts"]["repeated"] == 1


def test_a_mapping_that_is_tried_says_how_the_file_is_read(tmp_path: Path) -> None:
    keys = {
        "header": "none",
        "names": ["user_id", "item_id", "timestamp"],
        "skip_lines": 1,
        "constants": {"interaction_type": "view"},
        "timestamps": {"timestamp": {"unit": "s"}},
    }
    mapping = TenantSettings.model_validate({"sources": {"m": keys}}).sources["m"]
    found = answer(tmp_path, "a,b,c\n1,2,1717232400\n1,3,1717232401\n", mapping=mapping)
    assert [column["name"] for column in found["columns"]] == keys["names"]
    assert (found["counts"]["looked_at"], found["counts"]["would_store"]) == (2, 2)
    assert found["proposed_mapping"]["names"] == keys["names"]


def test_a_value_is_never_part_of_a_refusal(tmp_path: Path) -> None:
    with pytest.raises(FileRefusedError) as refused:
        answer(tmp_path, b"PK\x03\x04 secret")
    assert "secret" not in str(refused.value)


_CELL = st.sampled_from(
    ["u1", "7", "", "2024-05-01", "03/04/2024", "view", "buy", "#", '"', "a,b", "ü", "1,5", "\0"]
)
_NAME = st.sampled_from(
    ["user", "item", "date", "event", "price", "", "x", "user", "#id", "rating"]
)


@settings(
    max_examples=examples(120),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    names=st.lists(_NAME, min_size=1, max_size=6),
    rows=st.lists(st.lists(_CELL, min_size=1, max_size=6), max_size=8),
    delimiter=st.sampled_from([",", ";", "\t", "|"]),
    data_type=st.sampled_from([None, *DataType]),
)
@example(names=["user", "item"], rows=[], delimiter=",", data_type=None)
def test_any_file_is_looked_at_or_refused_and_counts_add_up(
    tmp_path: Path,
    names: list[str],
    rows: list[list[str]],
    delimiter: str,
    data_type: DataType | None,
) -> None:
    content = "".join(delimiter.join(row) + "\n" for row in [names, *rows])
    try:
        found = answer(tmp_path, content, data_type=data_type)
    except FileRefusedError:
        return
    counts = found["counts"]
    parts = counts["would_store"] + counts["would_reject"] + counts["repeated"]
    assert counts["looked_at"] == parts
    assert len(found["rows"]) == min(10, counts["would_store"])
    json.dumps(found)
    TenantSettings.model_validate(yaml.safe_load(found["proposed_settings_yaml"]))


@pytest.mark.parametrize("mark", [",", ";"])
def test_quotes_behind_a_space_are_of_the_delimiter(tmp_path: Path, mark: str) -> None:
    rows = [
        ["user_id", "item_id", "interaction_type", "timestamp"],
        ["u", f"i{mark} 2", "view", "2024-05-01T10:00:00Z"],
    ]
    content = "".join(f"{mark} ".join(f'"{cell}"' for cell in row) + "\n" for row in rows)
    found = answer(tmp_path, content)
    assert found["proposed_mapping"]["delimiter"] == f"{mark} "
    assert found["counts"]["would_store"] == 1
    assert found["rows"][0]["item_id"] == f"i{mark} 2"

"""Names that nothing reads: which are told, and which one they were likely meant to be."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakehouse.contracts.mapping import wanted_columns
from lakehouse.contracts.tenant import SEGMENT, DataType, SourceMapping
from lakehouse.contracts.unread import UnreadNames, nearest

ITEM_NAMES = wanted_columns(DataType.ITEMS, SourceMapping())


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        pytest.param("Title", "title", id="letter case"),
        pytest.param(" price", "price", id="white space"),
        pytest.param("itemId", "item_id", id="no underscore"),
        pytest.param("item-ID", "item_id", id="a hyphen"),
        pytest.param("catgory", "category", id="a letter missing"),
        pytest.param("categorys", "category", id="a letter more"),
        pytest.param("pricr", "price", id="another letter"),
        pytest.param("tilte", "title", id="two swapped"),
        pytest.param("price\u200b", "price", id="an invisible character"),
        pytest.param("colour", None, id="another word"),
        pytest.param("id", None, id="a short one"),
        pytest.param("ttle_of_it", None, id="more than a slip"),
    ],
)
def test_the_likely_meant_name(name: str, meant: str | None) -> None:
    assert nearest(name, ITEM_NAMES) == meant


@given(st.sampled_from(sorted(ITEM_NAMES)), st.data())
def test_every_other_spelling_is_told(name: str, data: st.DataObject) -> None:
    spelling = "".join(data.draw(st.sampled_from([c, c.upper(), f" {c}", f"{c}_"])) for c in name)
    unread = UnreadNames.of(DataType.ITEMS, SourceMapping(columns={"title": "name"}))
    if spelling in unread.read or name == "title":
        return
    assert [(one.name, one.code) for one in unread.among([spelling])] == [
        (spelling, "similar_column")
    ]


@pytest.mark.parametrize("data_type", list(DataType))
def test_of_the_contracts_names_every_other_one_is_told(data_type: DataType) -> None:
    unread = UnreadNames.of(data_type, SourceMapping())
    row = dict.fromkeys([field.name for field in data_type.definition.fields])
    assert unread.of_row(row, unread.read) == []
    other = "User_Id" if data_type is DataType.USERS else "Item_Id"
    told = unread.of_row({**row, "colour": 1, other: 2}, unread.read)
    assert [(one.name, one.code) for one in told] == [
        ("colour", "unread_field"),
        (other, "similar_column"),
    ]


def test_names_in_the_context_are_told_with_their_path() -> None:
    unread = UnreadNames.of(DataType.INTERACTIONS, SourceMapping())
    row = {"context": {"device_type": "a", "sessionId": "b", "os": "c"}}
    told = unread.of_row(row, unread.read)
    assert [(one.name, one.code) for one in told] == [
        ("context.sessionId", "similar_column"),
        ("context.os", "unread_field"),
    ]


def test_paths_and_alternatives_of_a_mapping_are_read() -> None:
    unread = UnreadNames.of(DataType.CLICKSTREAM, SEGMENT)
    call = dict.fromkeys(
        [
            *("type", "event", "userId", "anonymousId", "messageId", "context", "properties"),
            *("traits", "timestamp", "receivedAt", "sentAt", "integrations", "version", "channel"),
        ]
    )
    assert unread.of_row({**call, "context": {"os": {}, "page": {}}}, unread.read) == []
    told = unread.of_row({**call, "userID": "u"}, unread.read)
    assert [one.message for one in told] == ["ignored, though it is nearly 'userId'"]

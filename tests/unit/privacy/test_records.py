"""Whom a record names: compared with plain `json` and `csv`, and each way that was seen wrong."""

import base64
import csv
import hashlib
import hmac
import io
import json

import fastavro
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from lakehouse.contracts.identifying import IdentifyingFields
from lakehouse.contracts.layout import SourceLayout
from lakehouse.contracts.tenant import SEGMENT, DataType, SourceMapping, TenantSettings
from lakehouse.privacy.identifier_patterns import IdentifierPatterns
from lakehouse.privacy.quarantined import RecordSearch
from lakehouse.privacy.readers import Readers
from lakehouse.privacy.records import RecordReader
from lakehouse.privacy.suppression import Suppressed

HEADER = ("user_id", "item_id", "interaction_type", "timestamp")
PLAIN = IdentifyingFields.of(DataType.INTERACTIONS, SourceMapping())
JSON = SourceLayout(format="json", columns=HEADER)
CSV = SourceLayout(columns=HEADER)
IDS = st.one_of(
    st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=30),
    st.integers(0, 10**12).map(str),
    st.sampled_from(['a"b', "team/anna", "auth0|1", "ann a", "a,b", "a\\b", "user_id", "é", "é"]),
).filter(lambda text: bool(text.strip()))


def names(layout: SourceLayout, raw: bytes, subject: str, fields=PLAIN, tied=()) -> bool:
    return (
        RecordReader(layout, fields).named(raw).is_of({subject}.__contains__, {*tied}.__contains__)
    )


def escaped(text: str, data) -> str:
    """A JSON string in one of the many ways to write it."""
    parts = []
    for char in text:
        ways = [json.dumps(char)[1:-1], json.dumps(char, ensure_ascii=False)[1:-1]]
        if ord(char) < 0x10000:
            ways += [f"\\u{ord(char):04x}", f"\\u{ord(char):04X}"]
        if char == "/":
            ways.append("\\/")
        parts.append(data.draw(st.sampled_from(ways)))
    return f'"{"".join(parts)}"'


@settings(deadline=None, max_examples=25)
@given(IDS, IDS, st.data())
def test_a_json_record_names_what_plain_json_reads(user: str, other: str, data) -> None:
    raw = f'{{"user_id": {escaped(user, data)}, "item_id": {escaped(other, data)}, "rating": 1}}'
    read = json.loads(raw)
    for subject in (user, other, "user_id", "1", "rating"):
        assert names(JSON, raw.encode(), subject) == (read["user_id"] == subject)


@settings(deadline=None, max_examples=60)
@given(
    st.lists(IDS, min_size=4, max_size=4),
    st.sampled_from([",", ";", "\t", "|"]),
    st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
)
def test_a_csv_record_names_what_plain_csv_reads(cells: list, delimiter: str, quoting) -> None:
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter, quoting=quoting).writerow(cells)
    layout = SourceLayout(columns=HEADER, delimiter=delimiter)
    [read] = csv.reader(io.StringIO(text.getvalue(), newline=""), delimiter=delimiter)
    is_header = tuple(map(str.strip, read)) == HEADER
    for subject in (*cells, *HEADER, "1"):
        expected = read[0] == subject and not is_header
        assume(read[0].strip()[:1] != '"' or read[0].strip() == read[0])
        assert names(layout, text.getvalue().encode(), subject) == expected


@pytest.mark.parametrize(
    ("layout", "raw", "subject", "is_named"),
    [
        pytest.param(JSON, b'{"user_id":87654399,"x":1}', "87654399", True, id="a number"),
        pytest.param(JSON, b'{"user_id":1.0}', "1", False, id="another text of a number"),
        pytest.param(JSON, rb'{"user_id":"team\/anna"}', "team/anna", True, id="a slash"),
        pytest.param(JSON, rb'{"user_id":"\u00E9\u00e9"}', "éé", True, id="hex in any case"),
        pytest.param(JSON, b'{"user_id":"a","user_id":"b"}', "a", True, id="a repeated name"),
        pytest.param(JSON, b'{"user_id":{"id":["a"]}}', "a", True, id="an object"),
        pytest.param(JSON, b'{"userId":"a"}', "a", True, id="another spelling"),
        pytest.param(JSON, b'{"user_id":"b","title":"of a"}', "a", False, id="a title"),
        pytest.param(JSON, b'{"user_id":"b"}', "user_id", False, id="a name"),
        pytest.param(JSON, b'{"user_id":"b","rating":1}', "1", False, id="a rating"),
        pytest.param(JSON, b'{"user_id":"a","ti', "a", True, id="a cut record"),
        pytest.param(JSON, b'{"user_id":"b","title":"of a"', "a", False, id="a title of a cut one"),
        pytest.param(JSON, b'nonsense a "x y" z', "x y", True, id="a text of nonsense"),
        pytest.param(CSV, b'"a""b",i,click,x', 'a"b', True, id="a quote"),
        pytest.param(CSV, b"auth0|1,i,click,x,more", "auth0|1", True, id="too many fields"),
        pytest.param(CSV, b"a,b,i,click,x", "a,b", True, id="a delimiter without quotes"),
        pytest.param(CSV, b",ann,i,click,x", "ann", True, id="one to the right"),
        pytest.param(CSV, b"ann,i,click,x,more", "click", False, id="an event type"),
        pytest.param(CSV, b"ann,i,click,x,more", "more", False, id="behind the last"),
        pytest.param(CSV, b"ann a,i,click", "ann a", True, id="too few fields, a space"),
        pytest.param(CSV, b"ann,i 1,click", "click", False, id="too few, an event type"),
        pytest.param(CSV, b'"a,i,click\nann,j,view,5', "ann", True, id="lines behind a quote"),
        pytest.param(CSV, b'"a,i,click\nann,j,view,5', "view", False, id="a type behind a quote"),
        pytest.param(CSV, b"ann,i 1,click", "1", False, id="a part of a cell"),
        pytest.param(CSV, b"b,1,click,1", "1", False, id="an item"),
        pytest.param(CSV, b'"a,i,click', "a", True, id="an open quote"),
        pytest.param(
            CSV, b"susanna.schmidt@x.de,i,y,z", "anna.schmidt@x.de", False, id="a longer address"
        ),
        pytest.param(CSV, b"user_id,item_id,interaction_type,timestamp", "user_id", False, id="h"),
        pytest.param(CSV, b"user_id,item_id", "user_id", False, id="a part of a header"),
        pytest.param(CSV, b'"""a""",i,click,x', "a", False, id="a user with quotes"),
        pytest.param(CSV, b' "a",i,click,x', "a", True, id="a space before a quote"),
        pytest.param(CSV, b'a,"' + b"t," * 100_000 + b'",c,x', "t", False, id="a long field"),
        pytest.param(CSV, b"user_id,i,click,x", "user_id", True, id="a user of that name"),
        pytest.param(
            CSV.model_copy(update={"encoding": "cp1252"}), b"\xe9,i,c,x", "é", True, id="cp1252"
        ),
        pytest.param(SourceLayout(format="bytes"), b"\xff\xfe a", "a", True, id="bytes"),
        pytest.param(SourceLayout(format="bytes"), b"\0\0\0\0\1\x08anna\x02", "anna", True, id="b"),
    ],
)
def test_each_case(layout: SourceLayout, raw: bytes, subject: str, *, is_named: bool) -> None:
    assert names(layout, raw, subject) == is_named


def test_paths_of_a_mapping_name_a_person() -> None:
    mapping = SourceMapping(
        columns={"user_id": "who.key|email"}, values={"user_id": {"guest": "u0"}}
    )
    fields = IdentifyingFields.of(DataType.INTERACTIONS, mapping)
    layout = SourceLayout(format="json", mapping="own")
    for raw in ({"who": {"key": 7}}, {"email": "7"}, {"who": {"key": None}, "email": "7"}):
        assert names(layout, json.dumps(raw).encode(), "7", fields)
    assert not names(layout, b'{"key":"7","who":{"id":"7"}}', "7", fields)
    assert names(layout, b'{"email":"guest"}', "u0", fields)
    segment = IdentifyingFields.of(DataType.CLICKSTREAM, SEGMENT)
    several = {"batch": [{"userId": "a"}, {"anonymousId": "b"}]}
    assert names(layout, json.dumps(several).encode(), "b", segment)


def test_messages_name_people_in_keys_and_in_avro() -> None:
    whole = {
        "key": base64.b64encode(b"acme:ann a").decode(),
        "value": base64.b64encode(b'{"user_id":5}').decode(),
    }
    layout = SourceLayout(format="message")
    assert names(layout, json.dumps(whole).encode(), "ann a")
    assert names(layout, json.dumps(whole).encode(), "5")
    schema = {
        "type": "record",
        "name": "I",
        "fields": [{"name": "user_id", "type": "string"}, {"name": "title", "type": "string"}],
    }
    stream = io.BytesIO()
    fastavro.schemaless_writer(stream, schema, {"user_id": "anna", "title": "of bert"})
    raw = b"\0\0\0\0\1" + stream.getvalue()
    known = SourceLayout(format="avro", schema_text=json.dumps(schema))
    assert names(known, raw, "anna")
    assert not names(known, raw, "bert")


def test_a_tied_id_counts_where_no_user_is() -> None:
    fields = IdentifyingFields.of(DataType.CLICKSTREAM, SourceMapping())
    assert names(JSON, b'{"anonymous_id":"t"}', "x", fields, tied=["t"])
    assert names(JSON, b'{"anonymous_id":"t","user_id":" "}', "x", fields, tied=["t"])
    assert not names(JSON, b'{"anonymous_id":"t","user_id":"u"}', "x", fields, tied=["t"])


def test_rows_of_items_name_nobody() -> None:
    fields = IdentifyingFields.of(DataType.ITEMS, SourceMapping())
    layout = SourceLayout(columns=("item_id", "title"))
    for raw in (b"a,b", b"a,b,c", b'"a'):
        assert not names(layout, raw, "a", fields)


@settings(deadline=None, max_examples=30)
@given(st.binary(max_size=60), st.sampled_from(["csv", "json", "avro", "bytes", "message"]))
def test_no_record_is_too_odd(raw: bytes, kind: str) -> None:
    names(SourceLayout(format=kind, columns=HEADER), raw, "a")


def test_a_layout_and_a_kind_that_nobody_knows_are_read_all_the_same() -> None:
    readers = Readers(TenantSettings())
    for kind, layout in (("interactions", ""), ("later", CSV.to_text()), ("items", "{}")):
        readers.of_text(kind, layout).named(b"a,b,c,d")
    assert readers.of_text("later", JSON.to_text()).named(b'{"userId":5}').users == {"5"}


def test_a_mapping_that_is_gone_may_have_been_any_of_the_tenants() -> None:
    own = SourceMapping(columns={"user_id": "customer"})
    readers = Readers(TenantSettings(sources={"own": own}))
    for mapping in ("own", "gone"):
        layout = SourceLayout(columns=("customer", "item"), mapping=mapping)
        assert readers.of(DataType.INTERACTIONS, layout).named(b"7,8").users == {"7"}
    contract = SourceLayout(columns=("customer", "item", "user_id"), mapping="contract")
    reader = readers.of(DataType.INTERACTIONS, contract)
    assert reader.named(b"7,8,9").users == {"9"}
    assert "7" in reader.named(b"7,8,").users, "it names nobody, so it came by the wrong mapping"


def test_the_list_suppresses_as_an_erasure_deletes() -> None:
    def hashed(text: str) -> str:
        return hmac.new(b"key", text.encode(), hashlib.sha256).hexdigest()

    listed = Suppressed(1, "key", frozenset({hashed("1"), hashed("user_id")}))
    reader = RecordReader(JSON, PLAIN)
    records = [b'{"user_id":1}', b'{"user_id":2,"rating":1}', b'{"user_id":"x"}']
    assert listed.named(records, reader) == [True, False, False]
    gone = listed.gone([], 3, pl.Series([0, 1]), lambda rows: [records[n] for n in rows], reader)
    assert gone is not None
    assert gone.to_list() == [True, False, False]


RECORD_BYTES = st.sampled_from(
    [
        b'{"user_id":"anna","anonymous_id":"t"}',
        b'{"user_id":"","anonymous_id":"t"}',
        b'{"anonymous_id":"bert"}',
        b'{"user_id":["anna","bert"]}',
        b"anna,i1,nonsense",
        b"x,anna,i1,view,1",
        b'"bert,i',
        b'broken {"user_id": "anna", t',
    ]
) | st.binary(max_size=30)
TWO_OR_SO = st.sets(st.sampled_from(["anna", "bert", "t", "u", ""]))


@settings(deadline=None)  # the first one loads libraries
@given(st.lists(RECORD_BYTES, min_size=1, max_size=4), TWO_OR_SO, TWO_OR_SO)
def test_a_record_that_is_deleted_has_people_for_whom_it_counts(
    raws: list[bytes], subjects: set[str], tied: set[str]
) -> None:
    rows = pa.table(
        {
            "raw": pa.array(raws * 2, pa.large_binary()),
            "layout": [JSON.to_text()] * len(raws) + [CSV.to_text()] * len(raws),
            "data_type": ["clickstream"] * len(raws) * 2,
        }
    )
    look = RecordSearch(IdentifierPatterns(subjects), Readers(TenantSettings()), frozenset(tied))
    people = look.people(rows)
    assert [bool(named or alone) for named, alone in people] == look.names(rows).tolist()
    assert all(named <= subjects and alone <= tied for named, alone in people)

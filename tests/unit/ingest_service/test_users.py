"""Users: what they agree to is read strictly, and told apart from what was not said."""

import json
from pathlib import Path

import polars as pl
import pytest

from ingest_service.sinks.memory import MemorySink
from ingest_service.sources.inspecting.columns import Column
from ingest_service.sources.inspecting.proposer import Proposer
from lakehouse.contracts.fields import SENT_FIELDS
from lakehouse.contracts.tenant import DataType, FileFormat, OnError, SourceMapping
from tests.support.ingesting import ingest, service
from tests.support.validating import KNOWN_AT, validated

USERS = DataType.USERS


@pytest.mark.parametrize(
    ("consent", "code"),
    [
        ('{"training": true}', None),
        (' {"training":false , "e_mail2" : true} ', None),
        ("{}", None),
        ("", None),
        ('{"training": "false"}', "wrong_values"),
        ('{"training": 0}', "wrong_values"),
        ('{"training": null}', "wrong_values"),
        ('{"Training": false}', "wrong_values"),
        ('{"tr\\u0061ining": false}', "wrong_values"),
        ('{"training": {"ads": false}}', "wrong_values"),
        ('{"training": false, "training": true}', "wrong_values"),
        ('{"a": false, "b": true, "a":true}', "wrong_values"),
        ("false", "bad_json"),
        ("[true]", "bad_json"),
    ],
)
def test_consent_is_true_or_false_per_purpose(consent: str, code: str | None) -> None:
    found = validated(USERS, [{"user_id": "u", "consent": consent}], ["user_id", "consent"])
    assert found.reasons["code"].to_list() == [code] * (code is not None)
    assert found.accepted["consent"].to_list() == [consent or None] * (code is None)


@pytest.mark.parametrize(
    ("attributes", "is_right"),
    [
        ('{"country": "DE", "age": -4.5e1, "plus": true, "note": null}', True),
        ('{"text": "[1] {a} \\" , : \\\\"}', True),
        ('{"Any Name, \\u00e9": 1}', True),
        ('{"tags": ["a"]}', False),
        ('{"a": 1, "home": {"city": "Bern"}}', False),
    ],
)
def test_attributes_are_scalars(attributes: str, *, is_right: bool) -> None:
    row = {"user_id": "u", "attributes": attributes}
    found = validated(USERS, [row], ["user_id", "attributes"])
    assert found.reasons["code"].to_list() == ([] if is_right else ["wrong_values"])


def test_a_file_of_flags_is_mapped_and_its_wrong_rows_are_kept_aside(tmp_path: Path) -> None:
    sink = MemorySink()
    mapping = SourceMapping(
        columns={"user_id": "id", "consent": "opt_in"},
        values={"consent": {"yes": '{"training": true}', "no": '{"training": false}'}},
    )
    body = "id,opt_in\nu1,yes\nu2,no\nu3,maybe\nu4,\n"
    report = ingest(
        *(service(sink), tmp_path, body, "b1", OnError.QUARANTINE, USERS), mapping=mapping
    )
    assert (report.counts.stored, report.counts.quarantined) == (3, 1)
    rows = [row for _, table in sink.raw[USERS] for row in table.to_pylist()]
    assert [(row["user_id"], row["consent"], row[SENT_FIELDS]) for row in rows] == [
        ("u1", '{"training": true}', ["consent"]),
        ("u2", '{"training": false}', ["consent"]),
        ("u4", None, ["consent"]),
    ]


def test_states_of_a_user_are_kept_apart_and_repeated_ones_are_not_stored(tmp_path: Path) -> None:
    sink, sent = MemorySink(), []
    running = service(sink)
    words: list[dict[str, object]] = [
        {"user_id": "u", "consent": {"training": False}},
        {"user_id": "u", "consent": {"training": True}},
        {"user_id": "u", "consent": {"training": True}},
        {"user_id": "u", "consent": {"training": False}},
        {"user_id": "u", "attributes": {"country": "DE"}},
    ]
    for number, word in enumerate(words):
        how = {"data_type": USERS, "format": FileFormat.JSON}
        report = ingest(running, tmp_path, json.dumps(word), f"b{number}", **how)
        sent.append(report.counts.stored)
    assert sent == [1, 1, 0, 1, 1], "no, yes, yes again, no: the second no is news"
    rows = [row for _, table in sink.raw[USERS] for row in table.to_pylist()]
    assert [row[SENT_FIELDS] for row in rows] == [["consent"]] * 3 + [["attributes"]]


@pytest.mark.parametrize(
    ("header", "kind"),
    [
        (("user", "consent", "last_update"), USERS),
        (("user", "consent", "updated_at", "name"), USERS),
        (("user", "consent", "sku", "event", "time"), DataType.INTERACTIONS),
        (("user", "sku", "time"), DataType.INTERACTIONS),
    ],
)
def test_an_inspection_takes_a_file_of_consent_for_users(
    header: tuple[str, ...], kind: DataType
) -> None:
    values = {"consent": "{}", "event": "click", "time": "2026-05-01T00:00:00Z"}
    values |= {"updated_at": values["time"], "last_update": values["time"]}
    columns = [Column(name, pl.Series([values.get(name, "a1")])) for name in header]
    proposer = Proposer(columns, KNOWN_AT)
    assert proposer.data_type() is kind
    if header[2] == "last_update":
        fed = {"user_id": "user", "consent": "consent", "updated_at": "last_update"}
        assert proposer.propose(USERS).columns == fed

"""An erasure takes the values of the erased, and nothing of people who only resemble them."""

import csv
import io
import json
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable

from lakehouse.contracts.tables import RAW_CLICKSTREAM, RAW_INTERACTIONS, RAW_QUARANTINE
from lakehouse.contracts.tenant import DataType, FileFormat, PrivacySettings
from lakehouse.privacy.mentions import FREE_TEXTS
from lakehouse.storage.lake import Lake
from lakehouse.storage.ledger_check import check_ledger
from tests.support.erasure import FIRST_MS, TENANT, ErasableLake, interactions

HEADER = "user_id,item_id,interaction_type,timestamp\n"


def refused(*cells: object) -> str:
    """A line of CSV whose interaction type is unknown."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue()


def raws(lake: ErasableLake) -> list[bytes]:
    return sorted(lake.rows(RAW_QUARANTINE)["raw"].to_list())


def erased(lake: ErasableLake, *subjects: str) -> dict:
    """Erase, and return the certificate."""
    request = lake.erase(*subjects)
    [done] = lake.work()
    assert done.completed == (request,), done.reasons
    certificate = lake.database.erasures.get(request).certificate
    assert certificate is not None
    return dict(certificate)


JSON_LINES = [
    b'{"user_id":87654399,"item_id":"i","interaction_type":"odd","timestamp":1}',
    rb'{"user_id":"team\/anna","item_id":"i","interaction_type":"odd","timestamp":1}',
    rb'{"user_id":"say \"x\"","item_id":"i","interaction_type":"odd","timestamp":1}',
]
OTHERS = [
    b'{"user_id":8765439,"item_id":"87654399","interaction_type":"odd","timestamp":1}',
    b'{"user_id":"anna","item_id":"i","interaction_type":"odd","timestamp":1}',
]
GONE = ("87654399", "team/anna", 'say "x"')


def test_numbers_escapes_and_quotes_in_quarantined_json_are_values(lake: ErasableLake) -> None:
    lines = b"\n".join([*JSON_LINES, *OTHERS]).decode()
    lake.upload(lines, file_format=FileFormat.JSON)
    assert len(raws(lake)) == 5
    erased(lake, *GONE)
    assert raws(lake) == sorted(OTHERS)
    again = lake.upload(lines, file_format=FileFormat.JSON)
    assert (again.counts.suppressed, again.counts.quarantined) == (3, 2)
    assert not any(raw in JSON_LINES for raw in raws(lake))


def test_ragged_rows_do_not_come_back(lake: ErasableLake) -> None:
    gone = ["auth0|5f", "ann a", 'q"t', "9"]
    ragged = "".join(refused(user, "i", "click", FIRST_MS, "more") for user in gone)
    short = "".join(refused(user, "i") for user in gone)
    other = refused("somebody", "i9", "click", FIRST_MS, "more") + refused("ann", "a")
    other += refused("bert", "i9", "9") + refused("bert", "i9", "click", "9", "click")
    text = HEADER + ragged + short + other
    lake.upload(text)
    erased(lake, *gone, "click", "more")
    assert len(raws(lake)) == 4
    again = lake.upload(text)
    assert (again.counts.suppressed, again.counts.quarantined) == (8, 4)


def test_others_whose_rows_have_the_same_text_keep_them(lake: ErasableLake) -> None:
    rows = [
        refused("bert", "1", "odd", FIRST_MS),
        refused("susanna.schmidt@example.com", "i", "odd", FIRST_MS),
        refused("click", "i", "odd", FIRST_MS),
        refused("carol", "acme", "odd", FIRST_MS),
    ]
    gone = [refused("1", "i", "odd", FIRST_MS), refused("anna.schmidt@example.com", "i", "odd", 1)]
    lake.upload(HEADER + "".join(rows + gone))
    lake.upload(HEADER + f"1,i1,click,{FIRST_MS}\nbert,1,click,{FIRST_MS}\n")
    erased(lake, "1", "anna.schmidt@example.com", "user_id", "interactions", "i", "acme", "odd")
    assert raws(lake) == sorted(row.rstrip("\n").encode() for row in rows)
    assert lake.rows(RAW_INTERACTIONS)["user_id"].to_list() == ["bert"]
    again = lake.upload(HEADER + "".join(rows))
    assert (again.counts.suppressed, again.counts.quarantined) == (0, 4)


def test_a_user_named_like_the_tenant_is_an_ordinary_one(lake: ErasableLake) -> None:
    other = "a-tenant-with-a-long-name"
    lake.database.tenants.add(other)
    lake.upload(interactions([(other, 1), (TENANT, 1), ("bert", 1)]))
    lake.upload(interactions([(TENANT, 1), ("x", 1)]), tenant_id=other)
    foreign = Path(lake.settings.lake).rglob(f"tenant_id={other}/**/*.parquet")
    before = {path: path.read_bytes() for path in (*_logs(lake), *foreign)}
    certificate = erased(lake, TENANT, other, "nobody")
    assert certificate["rows_deleted"]["raw.interactions"] == 2
    assert lake.rows(RAW_INTERACTIONS)["user_id"].to_list() == ["bert"]
    assert set(lake.rows(RAW_INTERACTIONS, other)["user_id"]) == {TENANT, "x"}
    after = {path: path.read_bytes() for path in before if path.name != "_last_checkpoint"}
    assert after == {path: data for path, data in before.items() if path in after}
    assert len(after) > 10, "logs are not cut, and nothing of the other tenant is written again"


def test_no_log_holds_an_identifier(lake: ErasableLake) -> None:
    users = ["person-0123456789", "person-9876543210"]
    lake.fill(users[0], users[1:])
    erased(lake, users[0])
    for path in _tables(lake):
        DeltaTable(str(path)).create_checkpoint()
    for path in _logs(lake):
        data = path.read_bytes()
        if path.suffix == ".parquet":
            data += json.dumps(pq.read_table(path).to_pylist(), default=str).encode()
        assert not any(user.encode() in data for user in users), path.name


def test_short_ids_go_from_old_versions(lake: ErasableLake) -> None:
    lake.upload(interactions([("7", 1), ("77", 1)]))
    lake.upload(HEADER + refused("7", "77", "odd", 1) + refused("77", "7", "odd", 1))
    erased(lake, "7")
    seen = {
        str(value)
        for spec, column in ((RAW_INTERACTIONS, "user_id"), (RAW_QUARANTINE, "raw"))
        for path in Path(lake.settings.lake, spec.path).rglob("*.parquet")
        if "_delta_log" not in path.parts
        for value in pq.ParquetFile(path).read(columns=[column])[column].to_pylist()
    }
    assert seen == {"77", "b'77,7,odd,1'"}


EXPORTS = {
    "a.inter": "user_id:token\titem_id:token\tlabel:float\n{}\ti\t1.0\nz\t4217\t1.0\n",
    "a.user": "user_id:token\tage:float\n{}\t3\n",
    "interactions.csv": "USER_ID,ITEM_ID,TIMESTAMP\n{},i,1\nz,4217,1\n",
    "rows.json": '[{{"user_id": {}, "title": "x"}}]',
    "rows.jsonl": '{{"userId": "{}"}}\n{{"userId": "y"}}\n',
}


@pytest.mark.parametrize("name", [*EXPORTS, "part.parquet"])
def test_exports_are_read_by_their_own_header(lake: ErasableLake, name: str) -> None:
    folders = {}
    for who, value in (("gone", "4217"), ("kept", "421")):
        folders[who] = lake.home / f"exports/{TENANT}/{who}"
        folders[who].mkdir(parents=True)
        if name == "part.parquet":
            pq.write_table(pa.table({"user_id": [value], "item_id": ["4217"]}), folders[who] / name)
        else:
            (folders[who] / name).write_text(EXPORTS[name].format(value))
    foreign = lake.home / "exports/other/set"
    foreign.mkdir(parents=True)
    (foreign / "a.inter").write_text(EXPORTS["a.inter"].format("4217"))
    erased(lake, "4217")
    assert not folders["gone"].exists()
    assert folders["kept"].exists()
    assert foreign.exists()


@pytest.mark.parametrize("folder", ["added", "changed", "removed"])
def test_a_delta_that_names_the_erased_is_deleted_whole(lake: ErasableLake, folder: str) -> None:
    """`removed` holds nothing but keys; a killed delta, which is hidden, goes as well."""
    exports = lake.home / f"exports/{TENANT}"
    ids = ("20260501T120000000Z-97710dd2", "20260401T120000000Z-0f0f0f0f")
    for user, name in (("4217", "-item"), ("421", "-user")):
        for start, end in (("", ""), (".", ".0f0f0f0f")):
            delta = exports / f"{start}{ids[0]}-delta-since-{ids[1]}{name}{end}"
            for kind in ("added", "changed", "removed"):
                (delta / kind).mkdir(parents=True)
                keys = {"event_time": [1], "user_id": [user], "anchor_item_id": ["i"]}
                rows = pa.table(keys | {"draw_index": [0]})
                rows = rows if kind == folder else rows.slice(1)
                pq.write_table(rows, delta / kind / "part-00000.parquet", compression="zstd")
    assert len(list(exports.iterdir())) == 4
    erased(lake, "4217")
    assert all("-user" in delta.name for delta in exports.iterdir())
    assert len(list(exports.iterdir())) == 2


@pytest.mark.parametrize("compression", [None, "zstd"])
def test_what_a_killed_export_left_is_looked_at(
    lake: ErasableLake, compression: str | None
) -> None:
    """Rows that were put aside, and files without an end: of whom these are nobody can read."""
    users = [f"somebody-{number}" for number in range(500)]
    columns = {"item_id": ["i"] * 500, "history_item_ids": [["a", "b"]] * 500}
    rows = pa.table({"user_id": [*users[1:], "4217"], **columns})
    others = pa.table({"user_id": users, **columns})
    exports = lake.home / f"exports/{TENANT}"
    for name, held in {"rows": rows, "set aside": rows, "of others": others, "cut": others}.items():
        folder = exports / f".{name}.0f0f0f0f"
        folder.mkdir(parents=True)
        file = folder / "0"
        if name == "rows":
            pq.write_table(held, file, compression=compression or "none")
        else:
            options = pa.ipc.IpcWriteOptions(compression=compression)
            with pa.ipc.new_file(str(file), held.schema, options=options) as writer:
                writer.write_table(held)
        if name in ("rows", "cut"):
            held_bytes = file.read_bytes()
            file.write_bytes(held_bytes[: -20 if name == "rows" else len(held_bytes) // 2])
    erased(lake, "4217")
    assert [folder.name for folder in exports.iterdir()] == [".of others.0f0f0f0f"]


def test_of_a_waiting_message_the_events_of_others_stay(lake: ErasableLake) -> None:
    database, who = lake.database, "4217"
    source = database.webhooks.add(
        TENANT, "shop", adapter="segment", data_type="clickstream", mapping="segment"
    ).source_id
    calls = [
        {"userId": 4217, "type": "track"},
        {"userId": "b", "anonymousId": "a", "properties": {"of": "4217"}},
        {"anonymousId": "a"},
    ]
    page = f"event_name,user_id,anonymous_id,session_id,timestamp\np,{who},a,s,{FIRST_MS}\n"
    lake.upload(page, DataType.CLICKSTREAM)  # ties `a` to the person
    for number, body in enumerate(({"batch": calls}, {"batch": calls[:1]}, {"batch": calls[1:2]})):
        database.messages.receive(source, f"m{number}", 1, json.dumps(body).encode(), "s")
    erased(lake, who)
    kept = [json.loads(message.payload) for message in database.messages.kept("another session")]
    assert kept == [{"batch": calls[1:2]}, {"batch": calls[1:2]}]


def test_answers_lose_people_and_nothing_else(lake: ErasableLake) -> None:
    database = lake.database
    job = database.jobs.start(TENANT, "upload", "b")
    result = {"user_id": "interactions", "kind": "interactions", "ids": ["x", 7], "count": 7}
    database.jobs.finish(job, "succeeded", result)
    erased(lake, "interactions", "7", "upload", TENANT, "succeeded")
    expected = {"user_id": "(erased)", "kind": "interactions", "ids": ["x", "(erased)"], "count": 7}
    assert database.jobs.get(job).result == expected
    assert database.tenants.list()


def test_an_upload_of_another_tenant_is_not_touched(lake: ErasableLake) -> None:
    lake.database.tenants.add("other")
    lake.settings.spool_dir.mkdir(parents=True, exist_ok=True)
    mine, foreign = (lake.settings.spool_dir / name for name in ("mine.upload", "other.upload"))
    for path in (mine, foreign):
        path.write_text(f"{HEADER}4217,i,click,{FIRST_MS}\n")
    job = lake.database.jobs.start("other", "upload", "b")
    _give_spool(lake, job, foreign.name)
    erased(lake, "4217")
    assert (mine.exists(), foreign.exists()) == (False, True)


def test_mentions_are_counted_and_stop_nothing(lake: ErasableLake) -> None:
    who = "anna.schmidt@example.com"
    lake.upload(interactions([(who, 1)]))
    lake.upload(f"item_id,title\ni1,by {who}\ni2,by sus{who}\n", DataType.ITEMS)
    lake.upload(
        "event_name,user_id,session_id,timestamp,url\n"
        f"page,bert,s,{FIRST_MS},https://x.de/?u={who}\n",
        DataType.CLICKSTREAM,
    )
    certificate = erased(lake, who)
    assert certificate["mentions"]["places"] == {"raw/clickstream": 1, "raw/items": 1}
    assert certificate["searched"]["found"] == 0


@pytest.mark.parametrize("policy", ["keep", "redact", "delete_row"])
def test_mentions_are_kept_redacted_or_deleted_by_the_tenants_policy(
    lake: ErasableLake, policy: str
) -> None:
    who = "anna.schmidt@example.com"
    settings = lake.tenant.model_copy(update={"privacy": PrivacySettings(mentions=policy)})
    lake.database.set_tenant_settings(TENANT, settings)
    lake.upload(interactions([(who, 1)]))
    lake.upload(f"item_id,title\ni1,by {who}\ni2,by sus{who}\n", DataType.ITEMS)
    lines = [
        {"user_id": "bert", "url": f"https://x.de/{who}?a=1", "properties": {"of": [who, "b"]}},
        {"user_id": "carl", "url": f"https://x.de/sus{who}", "properties": {"of": 1}},
    ]
    common = {"event_name": "page", "session_id": "s", "timestamp": FIRST_MS}
    text = "\n".join(json.dumps({**common, **one}) for one in lines)
    lake.upload(text, DataType.CLICKSTREAM, file_format=FileFormat.JSON)
    lake.upload(HEADER + refused("bert", f"of {who}", "odd", 1) + refused("carl", "i", "odd", 1))
    before = {spec: lake.rows(spec) for spec in FREE_TEXTS}
    certificate = erased(lake, who)
    assert certificate["mentions"]["policy"] == policy
    after = {spec: lake.rows(spec) for spec in FREE_TEXTS}
    place = ["batch_id", "source_ref"]
    for spec, columns in FREE_TEXTS.items():
        old, new = (rows[spec].sort(place) for rows in (before, after))
        if policy == "delete_row":
            old = old.filter(~(pl.col("source_ref") == old["source_ref"].min()))
        elif policy == "redact":
            assert new.drop(columns).equals(old.drop(columns))
            assert not any(f" {who}" in str(v) or f"/{who}" in str(v) for v in new[columns[0]])
            continue
        assert new.equals(old), spec.full_name
    left = certificate["mentions"]["places"]
    assert bool(left) == (policy == "keep"), left
    assert not check_ledger(Lake(lake.settings)).wrong
    if policy == "redact":
        rows = after[RAW_CLICKSTREAM].sort(place)
        assert rows["url"][0] == "https://x.de/(erased)?a=1"
        assert json.loads(rows["properties"][0]) == {"of": ["(erased)", "b"]}


def _tables(lake: ErasableLake) -> list[Path]:
    return [path.parent for path in Path(lake.settings.lake).glob("*/*/_delta_log")]


def _logs(lake: ErasableLake) -> list[Path]:
    return [path for path in Path(lake.settings.lake).rglob("_delta_log/*") if path.is_file()]


def _give_spool(lake: ErasableLake, job_id: str, name: str) -> None:
    from sqlalchemy import update

    from lakehouse.control import schema

    with lake.database.connections.write() as connection:
        mine = schema.jobs.c.job_id == job_id
        connection.execute(update(schema.jobs).where(mine).values(spool_name=name))

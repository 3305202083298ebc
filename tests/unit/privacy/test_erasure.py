"""Erasing people from what the service stores, without models: nothing left, nothing else lost."""

import json
import shutil
from pathlib import Path

import pytest

from lakehouse.contracts.tables import RAW_CLICKSTREAM, RAW_INTERACTIONS, RAW_QUARANTINE
from lakehouse.contracts.tenant import DataType
from lakehouse.privacy.certificate import is_genuine
from lakehouse.privacy.restored import erase_again
from lakehouse.privacy.signing import public_key_of, signing_key
from lakehouse.spark.scratch import scratch_dir
from lakehouse.storage.lake import Lake
from lakehouse.storage.ledger_check import check_ledger
from tests.support.erasure import (
    FIRST_MS,
    TENANT,
    ErasableLake,
    interactions,
    person,
    state_of_others,
)


def test_nothing_of_a_person_is_left_and_everything_of_the_others(lake: ErasableLake) -> None:
    gone, others = person(), [person(), person()]
    lake.fill(gone, others)
    assert not lake.search(gone).is_clean
    before = state_of_others(lake, [gone])
    request = lake.erase(gone)
    [done] = lake.work()
    assert done.completed == (request,), done.reasons
    assert lake.search(gone).findings == ()
    assert state_of_others(lake, [gone]) == before
    assert not check_ledger(Lake(lake.settings)).wrong
    made = lake.database.erasures.get(request)
    assert made.certificate is not None
    assert made.certificate["rows_deleted"] == {
        "raw.interactions": 9,
        "raw.clickstream": 2,
        "raw.users": 0,
        "raw.quarantine": 1,
    }
    assert gone not in str(made.certificate)
    key = public_key_of(signing_key(lake.settings))
    assert is_genuine(made.certificate, key)
    assert not is_genuine({**made.certificate, "due_at": ""}, key)
    assert lake.database.audit.first_broken(until=str(made.certificate["audit_head"])) is None


def test_what_comes_again_is_suppressed_until_it_is_lifted(lake: ErasableLake) -> None:
    gone, other = person(), person()
    lake.fill(gone, [other])
    lake.erase(gone)
    lake.work()
    report = lake.upload(interactions([(gone, 0), (gone, 99), (other, 99)]))
    assert (report.counts.suppressed, report.counts.stored) == (2, 1)
    wrong = f"user_id,item_id,interaction_type,timestamp\n{gone},i1,nonsense,{FIRST_MS}\n"
    assert lake.upload(wrong + f"too,{gone},many,fields,{FIRST_MS}\n").counts.suppressed == 2
    clicks = (
        f"event_name,user_id,anonymous_id,session_id,timestamp\npage,,anon-of-{gone[-12:]},s,1\n"
    )
    assert lake.upload(clicks, DataType.CLICKSTREAM).counts.suppressed == 1
    lake.replay()
    assert lake.search(gone).findings == ()
    assert not check_ledger(Lake(lake.settings)).wrong
    assert lake.database.erasures.lift(TENANT, [gone], by="test") == 1
    assert lake.upload(interactions([(gone, 0)])).counts.stored == 1
    actions = [entry.action for entry in lake.database.audit.list(TENANT)]
    assert actions.count("privacy.lift") == 1


def test_a_restored_backup_brings_back_nobody_for_good(lake: ErasableLake, tmp_path: Path) -> None:
    gone, other = person(), person()
    lake.fill(gone, [other])
    backup = tmp_path / "backup"
    shutil.copytree(lake.settings.lake, backup)
    lake.erase(gone)
    lake.work()
    before = state_of_others(lake, [gone])

    shutil.rmtree(lake.settings.lake)
    shutil.copytree(backup, lake.settings.lake)
    shutil.rmtree(backup)
    assert not lake.search(gone).is_clean
    [request] = erase_again(Lake(lake.settings), lake.database, None, by="test")
    # the person, and the anonymous id that was tied to them
    assert (request.tenant_id, request.subject_count) == (TENANT, 2)
    [done] = lake.work()
    assert done.completed == (request.request_id,), done.reasons
    assert lake.search(gone).findings == ()
    assert state_of_others(lake, [gone]) == before
    assert erase_again(Lake(lake.settings), lake.database, None, by="test") == []


def test_who_is_back_in_quarantine_alone_is_found_and_nobody_is_left_out(
    lake: ErasableLake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = [person() for _ in range(5)]
    wrong = "".join(f"{user},i1,nonsense,{FIRST_MS}\n" for user in gone)
    lake.upload(f"user_id,item_id,interaction_type,timestamp\n{wrong}")
    shutil.copytree(lake.settings.lake, tmp_path / "backup")
    lake.erase(*gone)
    lake.work()
    shutil.rmtree(lake.settings.lake)
    shutil.copytree(tmp_path / "backup", lake.settings.lake)
    monkeypatch.setattr("lakehouse.privacy.restored.MAX_SUBJECTS", 2)
    requests = erase_again(Lake(lake.settings), lake.database, None, by="test")
    assert [request.subject_count for request in requests] == [2, 2, 1]
    lake.work()
    assert lake.search(*gone).findings == ()


def test_messages_and_answers_in_the_database_lose_the_person_alone(lake: ErasableLake) -> None:
    gone, other = person(), person()
    database = lake.database
    source = database.webhooks.add(
        TENANT, "shop", adapter="generic", data_type="interactions", mapping="default"
    ).source_id
    events = [{"user_id": gone}, {"user_id": other}]
    database.messages.receive(source, "m1", 1, json.dumps(events).encode(), "s")
    job = database.jobs.start(TENANT, "upload", "b")
    database.jobs.finish(job, "succeeded", {"ids": [gone, other], "count": 2})
    lake.erase(gone)
    [done] = lake.work()
    assert done.completed, done.reasons
    [message] = database.messages.kept("another session")
    assert json.loads(message.payload) == [{"user_id": other}]
    assert database.jobs.get(job).result == {"ids": ["(erased)", other], "count": 2}
    assert lake.search(gone).findings == ()


def test_rows_of_another_tenant_with_the_same_id_stay(lake: ErasableLake) -> None:
    gone = person()
    lake.database.tenants.add("other")
    lake.fill(gone, [person()])
    lake.upload(interactions([(gone, 1)]), tenant_id="other")
    lake.erase(gone)
    [done] = lake.work()
    assert not done.waiting, done.reasons
    assert lake.rows(RAW_INTERACTIONS, "other")["user_id"].to_list() == [gone]
    assert gone not in lake.rows(RAW_INTERACTIONS)["user_id"].to_list()


def test_short_ids_go_without_their_longer_neighbours(lake: ErasableLake) -> None:
    for users in (["7", "77", "customer-1", "customer-10"],):
        lake.upload(interactions([(user, n) for user in users for n in range(3)]))
        lake.upload(interactions([(user, 0) for user in users]).replace("click", "nonsense"))
    lake.erase("7", "customer-1")
    [done] = lake.work()
    assert done.completed, done.reasons
    assert set(lake.rows(RAW_INTERACTIONS)["user_id"]) == {"77", "customer-10"}
    assert lake.rows(RAW_QUARANTINE).height == 2
    assert lake.rows(RAW_CLICKSTREAM).height == 0


def test_what_dbt_and_a_killed_spark_left_is_removed(
    lake: ErasableLake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pyspark.SparkContext._active_spark_context", None)
    gone, other = person(), person()
    lake.fill(gone, [other])
    target, logs = lake.settings.dbt_target_dir, lake.settings.dbt_log_dir
    shuffle = scratch_dir(Lake(lake.settings)) / "blockmgr-of-a-killed-run"
    for folder in (target / "run" / "eta", logs, shuffle):
        folder.mkdir(parents=True)
    left = [
        target / "run_results.json",
        target / "run" / "eta" / "model.sql",
        logs / "dbt.log",
        shuffle / "shuffle_0_0_0.data",
    ]
    for path in left:
        path.write_text(f"[CAST_INVALID_INPUT] The value '{gone}' of the type STRING")
    (logs / "dbt.log.1").write_text(f"about {other}")
    found = lake.search(gone)
    assert {one.path for one in (*found.findings, *found.mentions)} >= {str(path) for path in left}
    lake.erase(gone)
    [done] = lake.work()
    assert done.completed, done.reasons
    assert not any(path.exists() for path in left)
    assert (logs / "dbt.log.1").exists()


def test_a_shared_devices_rows_stay_and_those_of_ones_own_device_go(lake: ErasableLake) -> None:
    gone, other = person(), person()
    lake.database.tenants.add("other")
    clicks = "event_name,user_id,anonymous_id,session_id,timestamp\n" + "".join(
        f"page,{user},{device},s,{FIRST_MS + n}\n"
        for n, (user, device) in enumerate(
            [(gone, "own"), ("", "own"), (gone, "shared"), (other, "shared"), ("", "shared")]
        )
    )
    lake.upload(clicks, DataType.CLICKSTREAM)
    lake.upload(f"event_name,user_id,anonymous_id,session_id,timestamp\npage,,own,s,{FIRST_MS}\n",
                DataType.CLICKSTREAM, tenant_id="other")  # fmt: skip
    request = lake.erase(gone)
    [done] = lake.work()
    assert done.completed == (request,), done.reasons
    left = lake.rows(RAW_CLICKSTREAM).select("user_id", "anonymous_id").sort("user_id").rows()
    assert left == [(None, "shared"), (other, "shared")]
    assert lake.rows(RAW_CLICKSTREAM, "other").height == 1
    again = "event_name,user_id,anonymous_id,session_id,timestamp\n"
    again += f"page,,own,s,{FIRST_MS + 7}\npage,,shared,s,{FIRST_MS + 8}\n"
    counts = lake.upload(again, DataType.CLICKSTREAM).counts
    assert (counts.suppressed, counts.stored) == (1, 1)

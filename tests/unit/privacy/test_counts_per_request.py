"""Requests that are carried out together: each certificate counts its own people's rows."""

import json
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import pytest
from redis import Redis

from lakehouse.contracts.tables import RAW_QUARANTINE
from lakehouse.contracts.tenant import DataType, FileFormat, PrivacySettings, TenantSettings
from lakehouse.errors import EtaError
from lakehouse.privacy import erasure_pass
from lakehouse.privacy.redis_keys import embedding_key
from lakehouse.privacy.verify import search
from lakehouse.storage.lake import Lake
from lakehouse.storage.ledger_check import check_ledger
from lakehouse.storage.removals import ERASED, removed_rows
from tests.support.erasure import FIRST_MS, TENANT, ErasableLake, interactions, person
from tests.support.redis_server import running_redis

HEADER = "user_id,item_id,interaction_type,timestamp\n"


class KilledError(BaseException):
    """Stands for a process that ends at once."""


def rejected(*users: str) -> str:
    return HEADER + "".join(f"{user},i1,nonsense,{FIRST_MS + n}\n" for n, user in enumerate(users))


def rows_of(lake: ErasableLake, request: str) -> dict[str, int]:
    found = lake.database.erasures.get(request)
    assert found.certificate is not None, found.state
    return {name: count for name, count in found.certificate["rows_deleted"].items() if count}


def removed_in_ledger(lake: ErasableLake) -> dict[str, int]:
    found = removed_rows(cache(Lake(lake.settings).table), TENANT, datetime.now(UTC))
    counts: dict[str, int] = {}
    for name, reason, count in found.select("table_name", "reason", "row_count").iter_rows():
        assert reason == ERASED
        counts[name] = counts.get(name, 0) + count
    return counts


def test_each_request_counts_the_rows_of_its_own_people(lake: ErasableLake) -> None:
    alice, bob, nobody, carol = person(), person(), person(), person()
    lake.upload(rejected(alice, bob, bob))
    lake.upload(interactions([(alice, 1), (carol, 2)]))
    both = {"user_id": alice, "anonymous_id": bob, "event_name": "page", "timestamp": "never"}
    lake.upload(json.dumps(both) + "\n", DataType.CLICKSTREAM, file_format=FileFormat.JSON)
    assert lake.rows(RAW_QUARANTINE).height == 4
    clicks = "event_name,user_id,anonymous_id,session_id,timestamp\n"
    clicks += f"page,{alice},a-{alice},s,{FIRST_MS}\npage,{bob},a-{alice},s,{FIRST_MS + 1}\n"
    clicks += f"page,,a-{alice},s,{FIRST_MS + 2}\n"
    lake.upload(clicks, DataType.CLICKSTREAM)
    requests = [lake.erase(one) for one in (alice, bob, nobody, carol)]
    [done] = lake.work()
    assert not done.waiting, done.reasons
    assert done.nothing_found == (requests[2],)
    assert rows_of(lake, requests[0]) == {
        "raw.interactions": 1,
        "raw.quarantine": 2,
        "raw.clickstream": 2,
    }
    assert rows_of(lake, requests[1]) == {"raw.quarantine": 3, "raw.clickstream": 2}
    assert rows_of(lake, requests[3]) == {"raw.interactions": 1}
    # the ledger counts each row once
    assert removed_in_ledger(lake) == {
        "raw.interactions": 2,
        "raw.quarantine": 4,
        "raw.clickstream": 3,
    }
    assert not check_ledger(Lake(lake.settings)).wrong
    certificate = lake.database.erasures.get(requests[0]).certificate
    assert certificate is not None
    assert certificate["together"]["requests"] == 4
    assert len(certificate["tied_ids"]) == 1
    second = lake.database.erasures.get(requests[1]).certificate
    assert second is not None
    assert second["tied_ids"] == certificate["tied_ids"]


def test_a_person_of_two_requests_counts_for_both(lake: ErasableLake) -> None:
    gone = person()
    lake.upload(rejected(gone))
    lake.upload(interactions([(gone, 1)]))
    requests = [lake.erase(gone), lake.erase(gone, person())]
    lake.work()
    for request in requests:
        assert rows_of(lake, request) == {"raw.interactions": 1, "raw.quarantine": 1}
    assert removed_in_ledger(lake) == {"raw.interactions": 1, "raw.quarantine": 1}
    assert not check_ledger(Lake(lake.settings)).wrong


def test_rows_that_mention_people_count_for_the_requests_about_them(lake: ErasableLake) -> None:
    alice, bob = person(), person()
    lake.tenant = TenantSettings(privacy=PrivacySettings(mentions="delete_row"))
    lake.database.set_tenant_settings(TENANT, lake.tenant, by="test")
    lake.upload(interactions([(alice, 1), (bob, 1)]))
    lake.upload(
        HEADER + f"other,{bob},nonsense,{FIRST_MS}\nother,{alice} {bob},nonsense,{FIRST_MS}\n"
    )
    requests = [lake.erase(one) for one in (alice, bob)]
    lake.work()
    assert rows_of(lake, requests[0]) == {"raw.interactions": 1, "raw.quarantine": 1}
    assert rows_of(lake, requests[1]) == {"raw.interactions": 1, "raw.quarantine": 2}
    assert removed_in_ledger(lake) == {"raw.interactions": 2, "raw.quarantine": 2}


def test_entries_of_the_database_count_for_their_own_request(lake: ErasableLake) -> None:
    alice, bob = person(), person()
    jobs = lake.database.jobs
    for number, users in enumerate(([alice], [alice, bob])):
        jobs.finish(jobs.start(TENANT, "upload", f"b{number}"), "succeeded", {"users": users})
    requests = [lake.erase(one) for one in (alice, bob)]
    lake.work()
    counts = []
    for request in requests:
        certificate = lake.database.erasures.get(request).certificate
        assert certificate is not None
        counts.append(certificate["database_rows_changed"])
    assert counts == [2, 1]


@pytest.mark.parametrize(
    "killed",
    [
        pytest.param("delete_rows", id="while rows go"),
        pytest.param("erased_rows", id="before they are noted"),
        pytest.param("change_rows", id="before entries of the database go"),
        pytest.param("compact", id="behind them"),
        pytest.param("remove_remnants", id="while files go"),
        pytest.param("end_request", id="before the certificate"),
    ],
)
def test_a_kill_makes_no_count_too_small(
    lake: ErasableLake, monkeypatch: pytest.MonkeyPatch, killed: str
) -> None:
    alice, bob = person(), person()
    lake.upload(rejected(alice, bob))
    lake.upload(interactions([(alice, 1), (alice, 2), (bob, 1)]))
    job = lake.database.jobs.start(TENANT, "upload", "b")
    lake.database.jobs.finish(job, "succeeded", {"user_id": alice})
    requests = [lake.erase(one) for one in (alice, bob)]
    place = lake.database if killed == "compact" else erasure_pass
    real = getattr(place, killed)

    def ends(*arguments, **named):
        if killed in ("delete_rows", "remove_remnants"):
            real(*arguments, **named)
        raise KilledError

    with monkeypatch.context() as patch:
        patch.setattr(place, killed, ends)
        with pytest.raises(KilledError):
            lake.work()
    lake.work()
    assert rows_of(lake, requests[0]) == {"raw.interactions": 2, "raw.quarantine": 1}
    assert rows_of(lake, requests[1]) == {"raw.interactions": 1, "raw.quarantine": 1}
    assert removed_in_ledger(lake) == {"raw.interactions": 3, "raw.quarantine": 2}
    for request, entries in zip(requests, (1, 0), strict=True):
        certificate = lake.database.erasures.get(request).certificate
        assert certificate is not None
        assert certificate["database_rows_changed"] == entries
        files = certificate["files_removed"]
        if killed == "remove_remnants":
            assert files is None
        else:
            assert files["data file"] > 0
        assert (certificate["rewritten"] is None) == (killed == "delete_rows")


def test_files_that_went_before_a_wait_are_counted(
    lake: ErasableLake, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = person()
    lake.upload(interactions([(gone, 1)]))
    request = lake.erase(gone)

    searches = 0

    def once(*arguments):
        nonlocal searches
        searches += 1
        if searches > 1:
            raise EtaError("a file cannot be read", remedy="repair it")
        return search(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(erasure_pass, "search", once)
        [done] = lake.work()
    assert done.waiting == (request,)
    lake.work()
    certificate = lake.database.erasures.get(request).certificate
    assert certificate is not None
    assert certificate["files_removed"]["data file"] > 0


def test_a_request_with_removed_rows_is_certified_whatever_was_noted(lake: ErasableLake) -> None:
    gone = person()
    lake.upload(interactions([(gone, 1)]))
    request = lake.erase(gone)
    lake.database.erasures.note_once({request: {"nothing": True, "unknown": 1}})
    lake.work()
    assert lake.database.erasures.get(request).state == "completed"


def test_keys_of_redis_count_for_their_own_request_also_after_a_kill(
    lake: ErasableLake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice, bob = person(), person()
    real = erasure_pass.delete_keys

    def ends(*arguments):
        real(*arguments)
        raise KilledError

    with running_redis(tmp_path) as url, Redis.from_url(url) as redis:
        lake.settings = lake.settings.model_copy(update={"redis_url": url})
        lake.upload(interactions([(alice, 1), (bob, 1)]))
        redis.set(embedding_key(TENANT, alice), "[1]")
        requests = [lake.erase(one) for one in (alice, bob)]
        with monkeypatch.context() as patch:
            patch.setattr(erasure_pass, "delete_keys", ends)
            with pytest.raises(KilledError):
                lake.work()
        lake.work()
        assert not redis.keys("*")
    counts = []
    for request in requests:
        certificate = lake.database.erasures.get(request).certificate
        assert certificate is not None
        counts.append(certificate["redis_keys_deleted"])
    assert counts == [1, 0]

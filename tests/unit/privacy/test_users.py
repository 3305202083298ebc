"""Rows of `raw.users` are a person's as all others: erased, suppressed, and in their export."""

import json

from lakehouse.contracts.tables import RAW_USERS
from lakehouse.contracts.tenant import DataType
from lakehouse.privacy.export import open_export
from lakehouse.storage.lake import Lake
from lakehouse.storage.ledger_check import check_ledger
from tests.support.erasure import TENANT, ErasableLake, person


def row_of(user: str, consent: str = "false") -> str:
    flags = json.dumps({"training": consent == "true"}).replace('"', '""')
    return f'{user},"{{""country"": ""DE""}}","{flags}"\n'


def test_users_are_erased_and_stay_away(lake: ErasableLake) -> None:
    gone, other = person(), person()
    head = "user_id,attributes,consent\n"
    lake.upload(head + row_of(gone) + row_of(other), DataType.USERS)
    lake.upload(head + row_of(gone, "true"), DataType.USERS)
    wrong = f'{gone},"{{""tags"": []}}",\n'
    assert lake.upload(head + wrong, DataType.USERS).counts.quarantined == 1

    parts = open_export(lake.settings, TENANT, gone).parts
    (users,) = [part.file for part in parts if part.file.table == "raw.users"]
    assert users.path == "users/raw_users.jsonl"

    request = lake.erase(gone)
    [done] = lake.work()
    assert done.completed == (request,), done.reasons
    made = lake.database.erasures.get(request)
    assert made.certificate is not None
    deleted = made.certificate["rows_deleted"]
    assert (deleted["raw.users"], deleted["raw.quarantine"]) == (2, 1)
    assert lake.search(gone).findings == ()
    assert lake.rows(RAW_USERS)["user_id"].to_list() == [other]
    assert not check_ledger(Lake(lake.settings)).wrong

    counts = lake.upload(head + row_of(gone) + row_of(other, "true"), DataType.USERS).counts
    assert (counts.suppressed, counts.stored) == (1, 1)

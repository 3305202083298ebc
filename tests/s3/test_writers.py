"""Eight processes write to one bucket: no commit is lost, also where requests go wrong."""

from pathlib import Path

from lakehouse.dev.s3 import storage_options_of
from lakehouse.dev.servers import Server
from lakehouse.settings import LakeSettings
from lakehouse.storage.lake import Lake
from lakehouse.storage.ledger_check import check_ledger
from tests.support.s3 import lake_on_s3
from tests.support.s3_faults import KINDS, STALL_SECONDS, faulty_s3
from tests.support.writers import expected_ids, write_at_once

PROCESSES = 8
BATCHES = 3


def test_eight_writers_lose_nothing_while_requests_fail(s3: Server, tmp_path: Path) -> None:
    """Every twentieth request is spoiled; what was answered is there, once."""
    lake = lake_on_s3(s3, tmp_path, "race")
    with faulty_s3(s3.addresses["url"]) as proxy:
        options = {**storage_options_of(proxy.url), "timeout": f"{STALL_SECONDS - 1:.0f}s"}
        through = LakeSettings(home=tmp_path, lake_uri=lake.lake, storage_options=options)
        seen = write_at_once(lake, PROCESSES, BATCHES, through, look_every=2)
    assert seen.exit_codes == [0] * PROCESSES
    assert sorted(seen.batch_ids) == expected_ids(PROCESSES, BATCHES)
    check = check_ledger(Lake(lake))
    assert (check.batches, check.wrong) == (PROCESSES * BATCHES, ())
    assert {kind for kind, _ in proxy.spoiled} == set(KINDS)
    assert any(method == "PUT" for kind, method in proxy.spoiled if kind != KINDS[0])

"""The commands say which ids stand for others by the tenant's mappings, and take both."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from lakehouse.cli.main import app
from lakehouse.contracts.tables import RAW_INTERACTIONS
from lakehouse.contracts.tenant import SourceMapping
from tests.support.erasure import TENANT, ErasableLake, interactions

MAPPED = SourceMapping(values={"user_id": {"A9": "anne", "B1": "bert"}})


@pytest.fixture
def lake(commanded: ErasableLake) -> ErasableLake:
    commanded.set_sources(default=MAPPED)
    return commanded


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["privacy", *map(str, arguments)])


def test_an_id_as_sent_is_found_erased_and_lifted_as_it_is_stored(
    lake: ErasableLake, tmp_path: Path
) -> None:
    lake.upload(interactions([("A9", 1), ("B1", 2)]))
    found = run("verify", "--tenant", TENANT, "--user", "A9")
    assert found.exit_code == 1, found.output
    assert "1 more ids count as well" in found.output

    asked = run("erase", "--tenant", TENANT, "--user", "A9")
    assert "as 1 other ids" in asked.output, asked.output
    assert "match nothing" not in asked.output
    [done] = lake.work()
    [request] = done.completed
    assert lake.rows(RAW_INTERACTIONS)["user_id"].to_list() == ["bert"]
    assert run("verify", "--tenant", TENANT, "--user", "A9").exit_code == 0

    certificate, ids = tmp_path / "c.json", tmp_path / "ids.csv"
    certificate.write_text(run("status", request, "--certificate").stdout)
    ids.write_text("A9\n")
    assert json.loads(certificate.read_text())["mapped_ids"] == {"erased": 1, "not_erased": 0}
    checked = run("check-certificate", certificate, "--ids", ids)
    assert checked.exit_code == 0, checked.output

    lifted = run("lift", "--tenant", TENANT, "--user", "A9")
    assert "2 may be stored again" in lifted.output, lifted.output
    lake.upload(interactions([("A9", 3)]))
    assert "anne" in lake.rows(RAW_INTERACTIONS)["user_id"].to_list()
    checked = run("check-certificate", certificate, "--ids", ids)
    assert checked.exit_code == 3, checked.output
    assert "people of the certificate were found" in checked.output


def test_ids_that_are_sent_for_the_one_asked_for_are_mentioned(lake: ErasableLake) -> None:
    lake.upload(interactions([("A9", 1)]))
    asked = run("erase", "--tenant", TENANT, "--user", "anne")
    assert "under those other ids stay" in " ".join(asked.output.split()), asked.output

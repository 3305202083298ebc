"""Soda on a view of figures: every failed tenant is known, and nothing unevaluated passes."""

import json
import logging
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from lakehouse.errors import EtaError
from lakehouse.quality.soda import scan
from lakehouse.spark.session import open_local_session
from tests.conftest import PROJECT_DIR
from tests.support.lake import SessionLake

CONFIGURATION = PROJECT_DIR / "soda_checks" / "configuration.yml"


@pytest.fixture
def scanned(lake: SessionLake, tmp_path: Path) -> Callable[..., object]:
    """Runs one check on a view of as many tenants as are asked for."""
    session = open_local_session(lake.settings)

    def run(condition: str, tenants: int = 1) -> object:
        session.range(tenants).selectExpr(
            "concat('t', id) as tenant_id", "id as number"
        ).createOrReplaceTempView("gate_scanned")
        check = {"name": "scanned", "fail condition": condition}
        file = tmp_path / "tenants.yml"
        file.write_text(json.dumps({"checks for gate_scanned": [{"failed rows": check}]}))
        return scan(session, [file], CONFIGURATION)

    yield run
    session.catalog.dropTempView("gate_scanned")


def test_all_failed_tenants_are_known_also_beyond_the_pages_that_soda_reads(scanned) -> None:
    (finding,) = scanned("number >= 10", tenants=260)
    assert len({row["tenant_id"] for row in finding.rows}) == len(finding.rows) == 250


def test_what_soda_cannot_evaluate_is_an_error_and_says_nothing_of_the_data(
    scanned, caplog: pytest.LogCaptureFixture
) -> None:
    with (
        caplog.at_level(logging.INFO),
        pytest.raises(EtaError, match=r"could not be run.*scanned") as raised,
    ):
        scanned("cast(concat('secret-', number) as int) / no_such_column > 0")
    assert "secret-" not in str(raised.value) + caplog.text


def test_no_check_at_all_is_an_error(lake: SessionLake, tmp_path: Path) -> None:
    (tmp_path / "empty.yml").write_text("checks for gate_scanned: []\n")
    with pytest.raises(EtaError, match="could not be run"):
        scan(open_local_session(lake.settings), [tmp_path / "empty.yml"], CONFIGURATION)


def test_a_scan_leaves_the_environment_as_it_was(
    scanned, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from soda.common.env_helper import EnvHelper

    (tmp_path / ".env").write_text("ETA_HOME=/elsewhere\nGATE_INTRUDER=1\n")
    monkeypatch.setattr("dotenv.main.find_dotenv", lambda *_, **__: str(tmp_path / ".env"))
    EnvHelper.reset()
    before = dict(os.environ)
    assert scanned("number < 0") == ()
    assert dict(os.environ) == before

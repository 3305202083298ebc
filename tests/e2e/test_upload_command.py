"""`eta upload` and `eta upload-job` against the real service."""

import csv
import json
from pathlib import Path

import pyarrow as pa
import pytest
from typer.testing import CliRunner, Result

from lakehouse.cli.main import app
from lakehouse.contracts.tables import OPS_INGEST_LEDGER, RAW_INTERACTIONS
from tests.support.rows import HEADER, interactions_csv, lines
from tests.support.service import RunningService
from tests.support.tables import parquet


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    """A file of a good and a wrong row, in Latin-1 with tabs."""
    path = tmp_path / "rows.csv"
    text = lines("Grüße aus München,i1,view,1700000000000", "u2,i1,stare,soon")
    path.write_bytes(text.replace(",", "\t").encode("latin-1"))
    return path


def eta(service: RunningService, tenant: str, *arguments: str | Path) -> Result:
    """Run a command as a tenant."""
    options = ["--tenant", tenant, "--key", service.keys[tenant], "--url", service.base_url]
    return CliRunner().invoke(app, [str(argument) for argument in (*arguments, *options)])


def test_every_option_reaches_the_service(
    service: RunningService, rows: Path, tmp_path: Path
) -> None:
    service.add_tenant("cli")
    errors = tmp_path / "errors.csv"
    read = ("--encoding", "cp1252", "--delimiter", "tab")
    refused = eta(service, "cli", "upload", rows, "--errors-to", errors)
    tried = eta(service, "cli", "upload", rows, *read, "--dry-run", "--on-error", "quarantine")
    taken = [
        eta(
            service,
            *("cli", "upload", rows, *read, "--on-error", "quarantine", "--compress"),
            *("--idempotency-key", "once"),
        )
        for _ in range(2)
    ]

    assert (refused.exit_code, "detected_encoding: 1" in refused.stderr) == (1, True)
    with errors.open() as file:
        assert [row["code"] for row in csv.DictReader(file)] == [
            "unknown_interaction_type",
            "bad_timestamp",
        ]
    assert (tried.exit_code, "1 would be stored" in tried.stderr) == (0, True)
    for result in taken:
        assert (result.exit_code, "1 stored" in result.stderr) == (0, True), result.output
        assert "1 in quarantine" in result.stderr
    assert len(service.rows(OPS_INGEST_LEDGER, "cli")) == 1
    assert [row["user_id"] for row in service.rows(RAW_INTERACTIONS, "cli")] == [
        "Grüße aus München"
    ]


def test_background_upload_is_followed_by_its_job(service: RunningService, tmp_path: Path) -> None:
    service.add_tenant("follow")
    good, torn = tmp_path / "good.csv", tmp_path / "torn.csv"
    good.write_text(interactions_csv(40))
    torn.write_text(HEADER + "u,i\n")
    started = [eta(service, "follow", "upload", file, "--background") for file in (good, torn)]
    ids = [result.stdout.strip() for result in started]
    done, refused = (eta(service, "follow", "upload-job", job_id, "--wait") for job_id in ids)

    assert [result.exit_code for result in started] == [0, 0]
    assert (done.exit_code, "40 stored" in done.stderr) == (0, True), done.output
    assert refused.exit_code == 1
    assert "it has 2 fields, the header has 4" in refused.output
    unknown = eta(service, "follow", "upload-job", "nothing")
    assert (unknown.exit_code, "no job of that id" in unknown.stderr) == (1, True)


def test_json_file_is_known_by_its_name(service: RunningService, tmp_path: Path) -> None:
    service.add_tenant("named")
    path = tmp_path / "rows.ndjson"
    row = {
        "user_id": "u",
        "item_id": "i",
        "interaction_type": "view",
        "timestamp": 1_700_000_000_000,
    }
    path.write_text(json.dumps(row))
    result = eta(service, "named", "upload", path)

    assert (result.exit_code, "1 stored" in result.stderr) == (0, True), result.output


def test_a_folder_is_sent_file_by_file_with_a_report_of_each_and_a_sum(
    service: RunningService, tmp_path: Path
) -> None:
    folder = tmp_path / "exports"
    folder.mkdir()
    head = "user_id,item_id,interaction_type,timestamp\n"
    row = {"user_id": "f1", "item_id": "i", "interaction_type": "view", "timestamp": 1767225600000}
    (folder / "a.csv").write_text(f"{head}f0,i,view,1767225600000\n")
    (folder / "b.csv").write_text(head)
    (folder / "c.parquet").write_bytes(parquet(pa.Table.from_pylist([row])))
    service.add_tenant("folder")
    sent = eta(service, "folder", "upload", folder)
    assert sent.exit_code == 0, sent.output
    assert "b.csv: no rows" in sent.stderr
    assert "3 files, 2 rows: 2 stored" in sent.stderr
    assert "1 files without rows" in sent.stderr

    (folder / "d.pdf").write_bytes(b"%PDF-1.7")
    again = eta(service, "folder", "upload", f"{folder}/*")
    assert again.exit_code == 1, again.output
    assert "d.pdf: the service refused the file (400): the file is a PDF document" in again.stderr
    assert "2 known already" in again.stderr
    assert eta(service, "folder", "upload", "s3://bucket/a.csv").exit_code != 0

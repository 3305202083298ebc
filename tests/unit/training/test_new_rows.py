"""New rows are counted once, since the newest run of all tenants began, and announced once."""

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import CliRunner

from lakehouse.cli.main import app
from lakehouse.contracts.tenant import TenantSettings
from lakehouse.control.database import ControlDatabase
from lakehouse.errors import EtaError
from lakehouse.settings import LakeSettings
from lakehouse.storage.lake import Lake
from lakehouse.storage.tables import ensure_tables
from lakehouse.training import run_steps
from lakehouse.training.new_rows import announce, new_rows
from lakehouse.training.run_parameters import read_parameters
from tests.support.clickstream import PRODUCT, event, store_events
from tests.support.lake import SessionLake, interaction, item

HOURLY = "watch"


class Stage:
    """A lake whose runs begin and end without models."""

    def __init__(self, settings: LakeSettings, database: ControlDatabase) -> None:
        self.settings, self.database = settings, database
        self.lake = SessionLake(settings)

    def store(self, tenant_id: str, rows: int, prefix: str) -> None:
        self.lake.store(tenant_id, [interaction(f"{prefix}{n}") for n in range(rows)])

    def run(self, run_id: str, *, is_ended: bool = True, **given: object) -> None:
        parameters = read_parameters(dict(given))
        run_steps.begin(self.settings, self.database, run_id, parameters)
        if is_ended:
            run_steps.end(self.settings, self.database, run_id, is_success=False)

    def announce(self, at_least: int = 10, announcer: str = HOURLY) -> dict[str, int]:
        return dict(announce(Lake(self.settings), self.database, at_least, announcer))

    def count(self) -> dict[str, int]:
        return dict(new_rows(Lake(self.settings), self.database).rows)


@pytest.fixture
def stage(settings: LakeSettings) -> Iterator[Stage]:
    (settings.project / "dbt_project.yml").write_text("name: eta\n")
    ensure_tables(Lake(settings))
    with closing(ControlDatabase.open(settings.control_url)) as database:
        yield Stage(settings, database)


def test_a_tenant_with_enough_new_rows_is_announced_until_a_run_takes_them(stage: Stage) -> None:
    stage.store("acme", 20, "old")
    assert stage.announce() == {}  # no run has begun yet, so none is awaited
    stage.run("first")
    assert stage.announce() == {}
    stage.store("acme", 6, "a")
    stage.lake.store_items("acme", [item(f"i{n}") for n in range(3)])
    stage.store("globex", 5, "b")
    assert stage.announce() == {}
    stage.store("acme", 1, "c")
    assert stage.announce() == {"acme": 10}
    stage.store("acme", 50, "d")
    assert stage.announce(announcer="the next hour") == {}  # told, and not taken yet
    assert stage.announce() == {"acme": 10}  # the same one, killed before it could tell
    stage.run("second")  # failed: its rows are the six-hourly run's, and nothing is told of them
    assert stage.count() == {}
    assert stage.announce() == {}
    stage.store("globex", 10, "e")
    assert stage.announce() == {"globex": 10}


def test_rows_that_come_while_a_run_goes_on_are_counted(stage: Stage) -> None:
    stage.run("first", is_ended=False)
    stage.store("acme", 10, "a")
    assert stage.announce() == {"acme": 10}


def test_a_look_reads_only_what_came_since_the_last_one(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.run("first")
    stage.store("acme", 6, "a")
    assert stage.announce() == {}
    for file in Path(stage.settings.lake, "raw").rglob("*.parquet"):
        file.unlink()  # what was counted is not read again
    stage.store("acme", 4, "b")
    assert stage.announce() == {"acme": 10}


@pytest.mark.parametrize(
    "given",
    [
        pytest.param({"tenant_id": "acme"}, id="of one tenant"),
        pytest.param({"cutoff": "2026-05-01T00:00:00Z"}, id="as of a time"),
        pytest.param({"start_date": "2020-01-01", "end_date": "2020-01-02"}, id="found nobody"),
    ],
)
def test_a_run_that_does_not_read_everything_takes_nothing(
    stage: Stage, given: dict[str, str]
) -> None:
    stage.run("first")
    stage.store("globex", 10, "a")
    stage.run("narrow", **given)
    assert stage.announce() == {"globex": 10}


def test_merged_and_deleted_rows_are_no_new_ones(stage: Stage) -> None:
    stage.store("acme", 8, "old")
    stage.store("acme", 8, "older")
    stage.run("first")
    Lake(stage.settings).table("raw.interactions").optimize.compact()
    Lake(stage.settings).table("raw.interactions").delete("event_id = 'old1'")
    assert stage.count() == {}


def test_a_clickstream_counts_where_it_is_mapped(stage: Stage) -> None:
    stage.run("first")
    store_events(stage.lake, "acme", [event(n, "Product Viewed", PRODUCT) for n in ("e1", "e2")])
    store_events(stage.lake, "globex", [event("e1", "Product Viewed", PRODUCT)])
    settings = TenantSettings.model_validate({"clickstream": {"preset": "segment"}})
    stage.lake.set_tenant("acme", settings)
    assert stage.count() == {"acme": 2}


def test_a_log_that_was_shortened_is_told_with_what_to_do(stage: Stage) -> None:
    stage.run("first")
    stage.store("acme", 3, "a")
    stage.store("acme", 3, "b")
    log = Path(stage.settings.lake, "raw", "interactions", "_delta_log")
    Lake(stage.settings).table("raw.interactions").create_checkpoint()
    for version in (0, 1):
        (log / f"{version:020}.json").unlink()
    with pytest.raises(EtaError, match=r"the log of raw.interactions does not go back"):
        stage.announce()
    stage.run("second")
    assert stage.announce() == {}


def test_the_command_prints_what_a_scheduler_and_what_a_person_wants(stage: Stage) -> None:
    def eta(*arguments: str) -> str:
        done = CliRunner().invoke(app, ["runs", "arrivals", *arguments], env={"ETA_RUN_ID": "w/1"})
        assert done.exit_code == 0, done.output
        return done.output

    assert "No run of all tenants has begun yet" in eta()
    stage.run("first")
    stage.store("acme", 10, "a")
    assert "acme\t10" in eta()
    told = eta("--announce", "10").splitlines()
    assert json.loads(told[-1]) == {"acme": 10}
    assert "A run was asked for, for acme" in eta()
    assert json.loads(eta("--announce", "10", "--run", "w/2").splitlines()[-1]) == {}


def test_moments_of_the_command_line_are_checked(stage: Stage) -> None:
    done = CliRunner().invoke(app, ["runs", "begin", "--run", "r", "--asked-at", "soon"])
    assert done.exit_code == 2

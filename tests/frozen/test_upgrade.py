"""An installation of an earlier release is upgraded, whole or step by step, and goes on."""

import json
import sqlite3
import tarfile
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest
from alembic import command
from deltalake import Field
from deltalake.schema import PrimitiveType
from typer.testing import CliRunner

from ingest_service.sinks.delta import DeltaSink
from lakehouse.cli.main import app
from lakehouse.contracts.tables import OPS_INGEST_LEDGER, RAW_INTERACTIONS, SERVICE_TABLES
from lakehouse.contracts.tenant import OnError
from lakehouse.control.connection import connect
from lakehouse.control.database import ControlDatabase
from lakehouse.control.upgrade import migrations
from lakehouse.errors import EtaError
from lakehouse.jobs.upgrade import lags, upgrade
from lakehouse.settings import LakeSettings
from lakehouse.storage import layout
from lakehouse.storage.lake import Lake
from lakehouse.storage.layout import MARK, LayoutStep, check_layout, held_layout, newest_layout
from lakehouse.storage.ledger_check import check_ledger
from lakehouse.storage.tables import ensure_tables
from lakehouse.training.publish import publish
from tests.frozen.freeze import FOLDER, TENANTS, rows
from tests.support.ingesting import ingest, service
from tests.support.lake import NOON
from tests.support.training import examples, write_training_tables

PACKED = sorted(FOLDER.glob("layout-*.tar.gz"))


def unpacked(packed: Path, to: Path) -> LakeSettings:
    with tarfile.open(packed) as archive:
        archive.extractall(to, filter="data")
    return LakeSettings(home=to / "home")


@pytest.fixture(params=PACKED, ids=lambda path: path.name.partition(".")[0])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> LakeSettings:
    return unpacked(request.param, tmp_path)


@pytest.fixture
def first(tmp_path: Path) -> LakeSettings:
    """The oldest layout, as it was before lakes were marked."""
    settings = unpacked(PACKED[0], tmp_path)
    Path(settings.lake, MARK).unlink()
    return settings


def test_every_layout_is_kept() -> None:
    names = [f"layout-{number}.tar.gz" for number in range(1, newest_layout() + 1)]
    assert [path.name for path in PACKED] == names


def test_an_earlier_release_is_upgraded_and_goes_on(settings: LakeSettings, tmp_path: Path) -> None:
    upgrade(settings)
    assert lags(settings) == []
    lake = Lake(settings)
    check_layout(lake)
    running = service(DeltaSink(lake), lake=settings)
    for name in TENANTS:
        for batch_id, first in ((f"{name}-1", 0), (f"{name}-3", 10)):  # a known batch, a new one
            content, how = rows(first, 20), OnError.QUARANTINE
            ingest(running, tmp_path, content, batch_id, how, tenant_id=name)
    stored = lake.table(RAW_INTERACTIONS).to_pyarrow_table().to_pylist()
    for name in TENANTS:
        assert len([row for row in stored if row["tenant_id"] == name]) == 30
    ledger = lake.table(OPS_INGEST_LEDGER).to_pyarrow_table().to_pylist()
    assert len(ledger) == 6
    checked = check_ledger(lake)
    assert (checked.is_clean, checked.batches) == (True, 6)
    with closing(ControlDatabase.open(settings.control_url)) as database:
        assert [tenant.tenant_id for tenant in database.tenants.list()] == list(TENANTS)


def made_older(settings: LakeSettings) -> None:
    """A column, a property and a migration of later releases are not there yet."""
    lake = Lake(settings)
    table = lake.table(RAW_INTERACTIONS)
    table.alter.set_table_properties(
        {
            "delta.dataSkippingStatsColumns": "user_id",
            "delta.logRetentionDuration": "interval 90 days",
        }
    )
    creation = Path(lake.location("ops/tenant_settings/_delta_log"), f"{0:020}.json")
    lines = [json.loads(line) for line in creation.read_text().splitlines()]
    [data] = [line["metaData"] for line in lines if "metaData" in line]
    schema = json.loads(data["schemaString"])
    schema["fields"] = [one for one in schema["fields"] if one["name"] != "negatives"]
    data["schemaString"] = json.dumps(schema, separators=(",", ":"))
    creation.write_text("".join(json.dumps(line, separators=(",", ":")) + "\n" for line in lines))
    with closing(connect(settings.control_url)) as connections, connections.write() as connection:
        command.downgrade(migrations(connection), "0007")


def test_what_is_behind_is_told_and_mended(first: LakeSettings) -> None:
    found = [(lag.what, lag.change) for lag in lags(first)]
    assert found == [("layout of the lake", "noted in it: 1")]
    assert not Path(first.lake, MARK).exists(), "a look changes nothing"
    upgrade(first)
    assert held_layout(Lake(first)) == newest_layout()
    assert upgrade(first) == 0


def test_columns_and_properties_are_brought_up_to_date(first: LakeSettings) -> None:
    made_older(first)
    told = []
    upgrade(first, lambda lag: told.append(f"{lag.what}: {lag.change}"))
    assert told[0].startswith("control database: migrated from revision 0007")
    assert "ops.tenant_settings: columns added: negatives" in told
    [properties] = [line for line in told if line.startswith("raw.interactions: ")]
    assert properties.startswith("raw.interactions: properties set: delta.dataSkippingStatsColumns")
    has = Lake(first).table(RAW_INTERACTIONS).metadata().configuration
    assert "user_id" not in has["delta.dataSkippingStatsColumns"]
    assert has["delta.logRetentionDuration"] == "interval 90 days", "the operator's choice"
    assert lags(first) == []


STEPS = ("first", "second")


def steps(done: list[str], dies_at: str | None = None) -> tuple[LayoutStep, ...]:
    def run(name: str, lake: Lake) -> None:
        if name == dies_at:
            raise KeyboardInterrupt
        done.append(name)

    return tuple(LayoutStep(f"the {name} is done", partial(run, name)) for name in STEPS)


@pytest.mark.parametrize("dies_at", STEPS)
def test_an_upgrade_that_was_killed_goes_on_where_it_was(
    first: LakeSettings, monkeypatch: pytest.MonkeyPatch, dies_at: str
) -> None:
    done: list[str] = []
    monkeypatch.setattr(layout, "STEPS", steps(done, dies_at))
    with pytest.raises(KeyboardInterrupt):
        upgrade(first)
    with pytest.raises(EtaError, match=r"writes 3"):
        ensure_tables(Lake(first))
    monkeypatch.setattr(layout, "STEPS", steps(done))
    assert [lag.change for lag in lags(first)][-1] == "the second is done"
    upgrade(first)
    assert done == list(STEPS), "each is taken once"
    assert held_layout(Lake(first)) == 3
    ensure_tables(Lake(first))


def test_a_lake_of_a_later_version_is_left_alone(first: LakeSettings) -> None:
    layout.mark_layout(Lake(first), 9)
    write_training_tables(first, {"acme": examples(3)})
    before = sorted(path for path in Path(first.lake).rglob("*"))
    with pytest.raises(EtaError, match="layout 9"):
        publish(first, "acme", gate=None, now=NOON)
    for act in (ensure_tables, check_layout):
        with pytest.raises(EtaError, match=r"layout 9.*knows up to 1"):
            act(Lake(first))
    with pytest.raises(EtaError, match="layout 9"):
        upgrade(first)
    assert sorted(path for path in Path(first.lake).rglob("*")) == before


@pytest.mark.parametrize(
    "content", ["", "[1]", '{"layout": "1"}', '{"layout": 0}', '{"layout": true}', "{" * 5000]
)
def test_a_mark_that_says_nothing_is_an_error(first: LakeSettings, content: str) -> None:
    Path(first.lake, MARK).write_text(content)
    with pytest.raises(EtaError, match="does not say which layout"):
        ensure_tables(Lake(first))


def test_a_new_lake_is_marked(tmp_path: Path) -> None:
    lake = Lake(LakeSettings(home=tmp_path))
    ensure_tables(lake)
    assert held_layout(lake) == newest_layout()
    assert layout.is_marked(lake)


def test_a_database_of_a_later_version_is_told(first: LakeSettings) -> None:
    with closing(sqlite3.connect(first.home_dir / "control.db")) as database:
        database.execute("update alembic_version set version_num = '9999'")
        database.commit()
    for look in (lags, upgrade):
        with pytest.raises(EtaError, match="revision 9999, which this version does not know"):
            look(first)
    assert not Path(first.lake, MARK).exists()


def test_this_version_goes_on_beside_a_later_one_that_added(
    first: LakeSettings, tmp_path: Path
) -> None:
    """In a rolling update: columns, tables and a revision that this version does not know."""
    lake = Lake(first)
    with closing(ControlDatabase.open(first.control_url)) as database:
        running = service(DeltaSink(lake), lake=first)
        for spec in SERVICE_TABLES:
            lake.table(spec).alter.add_columns([Field("of_later", PrimitiveType("string"))])
        with closing(sqlite3.connect(first.home_dir / "control.db")) as later:
            for name in ("tenants", "model_runs", "api_keys", "jobs"):
                later.execute(f"alter table {name} add column of_later text")
            later.execute("create table of_later (name text)")
            later.execute("update alembic_version set version_num = '9999'")
            later.commit()
        report = ingest(running, tmp_path, rows(50, 10), "later", OnError.QUARANTINE)
        assert (report.counts.stored, report.counts.quarantined) == (10, 1)
        database.tenants.add("initech")
        database.keys.create("initech", {"read"})
        database.runs.start("a run", {})
    ensure_tables(lake)
    stored = lake.table(RAW_INTERACTIONS).to_pyarrow_table(partitions=[("tenant_id", "=", "acme")])
    assert len(stored) == 30
    assert stored["of_later"].null_count == 30
    with pytest.raises(EtaError, match="9999"), closing(ControlDatabase.open(first.control_url)):
        pass  # once stopped it does not start again


def test_no_run_of_the_models_goes_on_meanwhile(first: LakeSettings) -> None:
    with closing(ControlDatabase.open(first.control_url)) as database:
        database.run_lock.hold("a run")
        with pytest.raises(EtaError, match="a run"):
            upgrade(first)
        assert not Path(first.lake, MARK).exists()


def test_the_command(first: LakeSettings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    run = CliRunner().invoke
    monkeypatch.setenv("ETA_HOME", str(first.home_dir))
    told = run(app, ["upgrade", "--check"])
    assert (told.exit_code, told.stdout) == (1, "layout of the lake: noted in it: 1\n")
    assert "run `eta upgrade`" in told.stderr
    assert run(app, ["upgrade"]).exit_code == 0
    done = run(app, ["upgrade", "--check"])
    assert (done.exit_code, done.stdout) == (0, "")
    assert "Nothing is behind" in done.stderr
    monkeypatch.setenv("ETA_HOME", str(tmp_path / "nothing"))
    nothing = run(app, ["upgrade"])
    assert nothing.exit_code == 0
    assert "no lake here yet" in nothing.stderr
    assert not (tmp_path / "nothing" / "control.db").exists()

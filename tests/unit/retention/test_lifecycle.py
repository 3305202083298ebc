"""Lifecycle rules in a bucket: set, read back, changed, beside the rules of others."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from lakehouse.cli.main import app
from lakehouse.contracts.retention import RawTiers, RetentionPolicy
from lakehouse.contracts.tenant import TenantSettings
from lakehouse.control.database import ControlDatabase
from lakehouse.dev.s3 import BUCKET, storage_options
from lakehouse.dev.servers import Server
from lakehouse.errors import EtaError
from lakehouse.retention.folders import classified_tables, folder_policies
from lakehouse.retention.lifecycle import apply_lifecycle, plan_lifecycle
from lakehouse.retention.rules import compile_rules
from lakehouse.settings import LakeSettings
from lakehouse.storage.lake import Lake
from lakehouse.storage.s3 import bucket_prefix, s3_client
from lakehouse.storage.tables import ensure_tables
from tests.support.s3 import lake_on_s3

FOREIGN = {
    "ID": "backup",
    "Status": "Enabled",
    "Filter": {"Prefix": "backup/"},
    "Expiration": {"Days": 10},
}


def test_rules_are_set_beside_those_of_others_read_back_and_changed(
    s3: Server, tmp_path: Path
) -> None:
    lake = lake_on_s3(s3, tmp_path, "one")
    place, client = bucket_prefix(Lake(lake)), s3_client(Lake(lake))
    client.put_bucket_lifecycle_configuration(
        Bucket=BUCKET, LifecycleConfiguration={"Rules": [FOREIGN]}
    )
    tables = classified_tables(lake)

    def plan(own: RetentionPolicy) -> dict[str, str]:
        rules = compile_rules(place.prefix, tables, {"acme": own})
        found = plan_lifecycle(client, place.bucket, rules, place.prefix)
        kinds = {change.rule_id: change.change for change in found.changes}
        assert found.is_empty == (set(kinds.values()) == {"keep"})
        apply_lifecycle(client, place.bucket, found)
        stored = client.get_bucket_lifecycle_configuration(Bucket=BUCKET)["Rules"]
        assert FOREIGN in stored
        wanted = {rule.rule_id: rule.to_s3() for rule in rules}
        assert {rule["ID"]: rule for rule in stored if rule["ID"] != "backup"} == wanted
        return kinds

    assert set(plan(RetentionPolicy()).values()) == {"add"}
    assert set(plan(RetentionPolicy()).values()) == {"keep"}
    own = RetentionPolicy(raw_interactions=RawTiers(hot_days=3))
    assert plan(own)["eta:one:raw/interactions"] == "remove"
    assert plan(own)["eta:one:raw/interactions:acme"] == "keep"
    client.delete_bucket_lifecycle(Bucket=BUCKET)


def test_plan_and_apply_as_an_operator_types_them(
    s3: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = lake_on_s3(s3, tmp_path, "two")
    monkeypatch.setenv("ETA_HOME", str(tmp_path))
    monkeypatch.setenv("ETA_LAKE_URI", lake.lake)
    monkeypatch.setenv("ETA_STORAGE_OPTIONS", json.dumps(storage_options(s3)))
    database = ControlDatabase.open(lake.control_url)
    policy = {"retention": {"raw_interactions": {"hot_days": 2}}}
    database.tenants.add("acme", settings=TenantSettings.model_validate(policy))
    database.close()
    ensure_tables(Lake(lake))
    run = CliRunner().invoke
    planned = run(app, ["retention", "plan"])
    assert planned.exit_code == 2, planned.output
    assert "eta:two:raw/interactions:acme" in planned.output
    assert "day 2: INTELLIGENT_TIERING, day 30: GLACIER_IR" in planned.output
    applied = run(app, ["retention", "apply"])
    assert applied.exit_code == 0, applied.output
    assert "Set and read back" in applied.output
    assert run(app, ["retention", "plan"]).exit_code == 0
    s3_client(Lake(lake)).delete_bucket_lifecycle(Bucket=BUCKET)


def test_a_bucket_that_is_not_there_is_an_error_that_says_so(s3: Server, tmp_path: Path) -> None:
    options = storage_options(s3)
    lake = LakeSettings(home=tmp_path, lake_uri="s3://missing/lake", storage_options=options)
    with pytest.raises(EtaError, match="bucket missing \\(NoSuchBucket\\)"):
        plan_lifecycle(s3_client(Lake(lake)), "missing", [], "lake")


def test_a_lake_on_disk_has_no_lifecycle(tmp_path: Path) -> None:
    with pytest.raises(EtaError, match="is not on S3"):
        bucket_prefix(Lake(LakeSettings(home=tmp_path)))


def test_every_folder_of_models_says_what_becomes_of_its_rows(tmp_path: Path) -> None:
    found = folder_policies(LakeSettings().project)
    assert found["training"] == found["evaluation"] == "training_data"
    assert found["staging"] is found["features"] is None
    (tmp_path / "dbt_project.yml").write_text("name: x\nmodels: {x: {a: {+schema: a}}}\n")
    with pytest.raises(EtaError, match=r"models\.x\.a has no retention policy"):
        folder_policies(tmp_path)

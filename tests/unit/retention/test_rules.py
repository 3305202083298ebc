"""The policy as lifecycle rules: what S3 takes, and what a table survives."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from lakehouse.contracts.retention import DataClass, RawTiers, RetentionPolicy, Tiers, TrainingTiers
from lakehouse.contracts.tenant import TenantSettings
from lakehouse.errors import EtaError
from lakehouse.retention.rules import compile_rules, dangers, transitions

TABLES = {
    "raw/interactions": DataClass.RAW_INTERACTIONS,
    "training/training_data": DataClass.TRAINING_DATA,
}
DAYS = st.lists(st.integers(1, 3_000), min_size=4, max_size=4, unique=True).map(sorted)


def tiers(days: list[int]) -> Tiers:
    return Tiers(hot_days=days[0], warm_days=days[1], cold_days=days[2], delete_days=days[3])


@given(DAYS)
def test_s3_takes_the_steps_of_any_policy(days: list[int]) -> None:
    warm, cold = transitions(tiers(days))
    assert warm.days == days[0]
    assert (cold.days, cold.storage_class) == (days[1], "GLACIER_IR")
    if warm.storage_class == "STANDARD_IA":
        assert warm.days >= 30
        assert cold.days - warm.days >= 30
    else:
        assert warm.storage_class == "INTELLIGENT_TIERING"


def test_the_product_s_policy_is_the_documented_one() -> None:
    rules = {rule.rule_id: rule.to_s3() for rule in compile_rules("lake", TABLES, {})}
    raw = rules["eta:lake:raw/interactions"]
    assert raw["Filter"] == {"Prefix": "lake/raw/interactions/tenant_id="}
    assert raw["Transitions"] == [
        {"Days": 7, "StorageClass": "INTELLIGENT_TIERING"},
        {"Days": 30, "StorageClass": "GLACIER_IR"},
    ]
    assert rules["eta:lake:training/training_data"]["Transitions"] == [
        {"Days": 30, "StorageClass": "STANDARD_IA"},
        {"Days": 90, "StorageClass": "GLACIER_IR"},
    ]
    assert rules["eta:lake:model_artifacts"]["Expiration"] == {"Days": 730}
    assert rules["eta:lake:logs"]["Expiration"] == {"Days": 365}


@pytest.mark.parametrize("root", ["", "lake", "a/b"])
@pytest.mark.parametrize("own", [None, RawTiers(hot_days=2)], ids=["one policy", "a tenant's own"])
def test_no_rule_matches_a_log_or_deletes_a_table_s_file(root: str, own: RawTiers | None) -> None:
    tenants = {"acme": RetentionPolicy(), "globex": RetentionPolicy()}
    if own is not None:
        tenants["acme"] = RetentionPolicy(raw_interactions=own)
    rules = compile_rules(root, TABLES, tenants)
    base = f"{root}/" if root else ""
    for path in TABLES:
        for rule in rules:
            assert not f"{base}{path}/_delta_log/00000000000000000000.json".startswith(rule.prefix)
            if f"{base}{path}/tenant_id=acme/x.parquet".startswith(rule.prefix):
                assert "Expiration" not in rule.to_s3()


def test_where_one_tenant_differs_each_has_a_rule_and_no_two_match() -> None:
    own = RetentionPolicy(raw_interactions=RawTiers(hot_days=60, warm_days=100, cold_days=120))
    rules = compile_rules("lake", TABLES, {"acme": own, "acme2": RetentionPolicy()})
    steps = {rule.prefix: rule.transitions for rule in rules if "raw/" in rule.prefix}
    assert {prefix: found[0].days for prefix, found in steps.items()} == {
        "lake/raw/interactions/tenant_id=acme/": 60,
        "lake/raw/interactions/tenant_id=acme2/": 7,
    }
    file = "lake/raw/interactions/tenant_id=acme2/ingest_date=2026-01-01/x.parquet"
    assert len([prefix for prefix in steps if file.startswith(prefix)]) == 1


def test_more_rules_than_a_bucket_takes_are_refused_with_a_way_out() -> None:
    own = {f"t{n}": RetentionPolicy() for n in range(1_000)}
    own["t0"] = RetentionPolicy(raw_interactions=RawTiers(hot_days=2))
    with pytest.raises(EtaError, match="a bucket takes 1,000"):
        compile_rules("", TABLES, own)


@pytest.mark.parametrize(
    "wrong",
    [{"hot_days": 30}, {"delete_days": 90}, {"hot_days": 0}, {"typo_days": 5}],
    ids=["hot not before warm", "deleted while cold", "no day", "unknown field"],
)
def test_a_policy_that_makes_no_sense_is_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValidationError):
        TenantSettings.model_validate({"retention": {"raw_interactions": wrong}})


def test_a_tenant_may_change_one_number_and_keeps_the_others() -> None:
    settings = TenantSettings.model_validate({"retention": {"training_data": {"hot_days": 10}}})
    assert settings.retention.training_data == TrainingTiers(hot_days=10)
    assert settings.retention.raw_interactions == RawTiers()


def test_rules_of_others_that_would_break_a_table_are_named() -> None:
    def rule(name: str, prefix: str, **what: object) -> dict[str, object]:
        return {"ID": name, "Status": "Enabled", "Filter": {"Prefix": prefix}, **what}

    delete = {"Expiration": {"Days": 365}}
    move = {"Transitions": [{"Days": 30, "StorageClass": "GLACIER"}]}
    found = dangers(
        [
            rule("everything", "", **delete),
            rule("inside", "lake/raw/interactions/tenant_id=a/", **delete),
            rule("cold log", "lake/raw/", **move),
            rule("cold files", "lake/raw/interactions/tenant_id=", **move),
            rule("elsewhere", "backup/", **delete),
            {**rule("off", "", **delete), "Status": "Disabled"},
        ],
        "lake",
        ["raw/interactions"],
    )
    assert found == [
        "rule 'everything' deletes files that raw/interactions needs",
        "rule 'inside' deletes files that raw/interactions needs",
        "rule 'cold log' moves the log of raw/interactions to slow storage",
    ]

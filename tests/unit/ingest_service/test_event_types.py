"""A type that a tenant has declared comes into raw as it was sent, by every way."""

from pathlib import Path
from uuid import uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest_service.sinks.delta import DeltaSink
from lakehouse.contracts.event_types import NAME_PATTERN
from lakehouse.contracts.source_mapping import SKIP
from lakehouse.contracts.tables import RAW_INTERACTIONS, RAW_QUARANTINE
from lakehouse.contracts.tenant import OnError, SourceMapping, TenantSettings
from lakehouse.settings import LakeSettings
from lakehouse.storage.lake import Lake
from lakehouse.storage.tables import ensure_tables
from tests.support.examples import examples
from tests.support.ingesting import ingest, service
from tests.unit.ingest_service.test_inspection import answer

NAMES = st.from_regex(NAME_PATTERN.strip("^$"), fullmatch=True).filter(lambda name: name != SKIP)
HEADER = "event_id,user_id,item_id,interaction_type,timestamp\n"


def declared(*names: str) -> TenantSettings:
    return TenantSettings.model_validate(
        {"event_types": {name: {"meaning": "positive"} for name in names}}
    )


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> LakeSettings:
    found = LakeSettings(home=tmp_path_factory.mktemp("types"))
    ensure_tables(Lake(found))
    return found


@settings(deadline=None, max_examples=examples(20))
@given(st.lists(NAMES, min_size=1, max_size=8, unique=True))
def test_any_declared_name_goes_from_a_file_to_raw(home: LakeSettings, names: list[str]) -> None:
    batch = uuid4().hex
    lines = [f"{batch}-{n},u,i,{name},1767225600000\n" for n, name in enumerate(names)]
    report = ingest(
        service(DeltaSink(Lake(home))),
        home.home_dir,
        HEADER + "".join(lines),
        batch,
        tenant=declared(*names),
    )
    assert report.counts.stored == len(names)
    stored = Lake(home).table(RAW_INTERACTIONS).to_pyarrow_table().to_pylist()
    rows = [row for row in stored if row["batch_id"] == batch]
    assert {row["event_id"]: row["interaction_type"] for row in rows} == {
        f"{batch}-{n}": name for n, name in enumerate(names)
    }


def test_an_undeclared_type_is_kept_aside_with_the_names_of_those_declared(tmp_path: Path) -> None:
    home = LakeSettings(home=tmp_path)
    ensure_tables(Lake(home))
    report = ingest(
        service(DeltaSink(Lake(home))),
        tmp_path,
        HEADER + "e1,u,i,play,1767225600000\ne2,u,i,view,1767225600000\n",
        on_error=OnError.QUARANTINE,
        tenant=declared("play", "save"),
    )
    assert (report.counts.stored, report.counts.quarantined) == (1, 1)
    (row,) = Lake(home).table(RAW_QUARANTINE).to_pyarrow_table().to_pylist()
    (reason,) = row["reasons"]
    assert reason["code"] == "unknown_interaction_type"
    assert reason["message"] == "interaction_type is none of play, save"


def test_an_inspection_proposes_the_tenants_types(tmp_path: Path) -> None:
    """`listened` is a view to who has declared nothing, `refund` is left out, `Play` is unknown."""
    rows = "".join(
        f"u{n},i{n},{word},2024-05-0{n + 1}\n"
        for n, word in enumerate(["Play", "refund", "listened", "cart"])
    )
    own = declared("play", "refund")
    found = answer(tmp_path, f"user,item,event,date\n{rows}", settings=own)
    assert found["proposed_mapping"]["values"] == {
        "interaction_type": {"Play": "play", "cart": "skip"}
    }
    assert any(
        "'listened'" in text and "play, refund or skip" in text for text in found["questions"]
    )
    assert found["interaction_types"] == ["play", "refund"]
    assert (found["counts"]["would_store"], found["counts"]["would_reject"]) == (2, 1)
    usual = answer(tmp_path, f"user,item,event,date\n{rows}")
    assert usual["interaction_types"] == ["view", "click", "like", "purchase", "dislike"]
    assert usual["proposed_mapping"]["values"]["interaction_type"]["listened"] == "view"


def test_nothing_is_proposed_that_the_tenant_has_not_declared(tmp_path: Path) -> None:
    rows = "u1,i1,5,2024-05-01\nu2,i2,1,2024-05-02\n"
    own = declared("play")
    found = answer(tmp_path, f"user,item,rating,date\n{rows}", settings=own)
    assert "values" not in found["proposed_mapping"]
    assert "constants" not in found["proposed_mapping"]
    assert any("interaction_type" in text for text in found["questions"])


def test_a_mapping_of_a_draft_may_name_declared_types(tmp_path: Path) -> None:
    mapping = SourceMapping(
        columns={"interaction_type": "event", "user_id": "user", "item_id": "item"},
        constants={"timestamp": "1767225600000"},
        values={"interaction_type": {"x": "play"}},
    )
    found = answer(tmp_path, "user,item,event\nu,i,x\n", mapping=mapping, settings=declared("play"))
    assert found["counts"]["would_store"] == 1

"""Which tenants a run is about: those whose sources changed, the clickstream where it is mapped."""

from datetime import UTC, datetime
from pathlib import Path

from lakehouse.contracts.tenant import TenantSettings
from lakehouse.settings import LakeSettings
from lakehouse.storage.lake import Lake
from lakehouse.storage.tables import ensure_tables
from lakehouse.training.lake_state import table_versions, tenants_received, tenants_since
from tests.support.clickstream import event, store_events
from tests.support.lake import SessionLake


def test_a_clickstream_is_news_of_tenants_that_map_it_or_ever_did(settings: LakeSettings) -> None:
    Path(settings.lake).mkdir(parents=True, exist_ok=True)
    lake = Lake(settings)
    ensure_tables(lake)
    raw = SessionLake(settings)
    for name in ("maps", "mapped"):
        raw.set_tenant(name, TenantSettings.model_validate({"clickstream": {"preset": "ga4"}}))
    raw.set_tenant("mapped", TenantSettings())
    before = table_versions(lake)
    assert tenants_since(lake, before) == []
    for name in ("maps", "mapped", "never"):
        store_events(raw, name, [event("e1", "view_item", {})])
    assert tenants_since(lake, before) == ["mapped", "maps"]
    assert tenants_received(lake, datetime.now(UTC).date(), None) == ["mapped", "maps"]

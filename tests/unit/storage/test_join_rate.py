"""The join rate over all tenants."""

from pathlib import Path

import pyarrow as pa
from deltalake import write_deltalake

from ingest_service.metrics import ServiceMetrics
from lakehouse.settings import LakeSettings
from lakehouse.storage.join_rate import JOIN_RATES, read_join_rate
from lakehouse.storage.lake import Lake


def test_the_join_rate_weighs_tenants_by_their_interactions(tmp_path: Path) -> None:
    settings = LakeSettings(home=tmp_path)
    assert read_join_rate(Lake(settings)) is None
    counts = {"tenant_id": ["a", "b"], "interaction_count": [10, 90], "joined_count": [10, 0]}
    write_deltalake(f"{settings.lake}/{JOIN_RATES}", pa.table(counts), partition_by=["tenant_id"])
    assert read_join_rate(Lake(settings)) == 0.1


def test_the_metric_is_no_number_before_the_models_ran() -> None:
    metrics = ServiceMetrics()
    metrics.observe_join_rate(None)
    assert metrics.registry.get_sample_value("eta_catalogue_join_ratio") not in (0, 1)
    metrics.observe_join_rate(0.25)
    assert metrics.registry.get_sample_value("eta_catalogue_join_ratio") == 0.25

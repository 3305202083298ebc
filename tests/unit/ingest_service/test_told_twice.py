"""A purchase in a file of orders has the id that the models give the one of a clickstream."""

from pathlib import Path

from ingest_service.sinks.memory import MemorySink
from ingest_service.sources.uploads.upload import FileUpload
from lakehouse.contracts.tenant import DataType, OnError, SourceMapping, TenantSettings
from tests.support.clickstream import MONOPOLY, ORDER, UNO
from tests.unit.ingest_service.test_service import service


def test_a_file_of_orders_names_the_act_that_an_event_is(tmp_path: Path) -> None:
    path = tmp_path / "orders.csv"
    rows = [f"purchase:{ORDER}:{item},u,{item},purchase,1780000000000" for item in (MONOPOLY, UNO)]
    path.write_text("\n".join(["act,customer,product,kind,at", *rows]) + "\n")
    columns = {
        "event_id": "act",
        "user_id": "customer",
        "item_id": "product",
        "interaction_type": "kind",
        "timestamp": "at",
    }
    sink = MemorySink()
    report = service(sink).ingest(
        FileUpload(
            path,
            "acme",
            DataType.INTERACTIONS,
            SourceMapping(columns=columns),
            TenantSettings(),
            "b1",
            OnError.QUARANTINE,
        )
    )
    assert report.counts.stored == 2
    stored = [row for _, table in sink.raw[DataType.INTERACTIONS] for row in table.to_pylist()]
    # tests/dbt/rounds/test_event_types.py: of both ways the models keep one
    assert {row["event_id"] for row in stored} == {
        f"purchase:{ORDER}:{MONOPOLY}",
        f"purchase:{ORDER}:{UNO}",
    }

"""Which folders of a lake are schemas and tables."""

from pathlib import Path

import pyarrow as pa
from deltalake import write_deltalake

from lakehouse.settings import LakeSettings
from lakehouse.spark.session import register_statements
from lakehouse.storage.lake import Lake
from lakehouse.storage.schemas import SCHEMAS, find_tables


def test_every_folder_with_delta_tables_is_a_schema_and_nothing_else_is(tmp_path: Path) -> None:
    settings = LakeSettings(home=tmp_path / "it's a home", project_dir=tmp_path)
    lake = Path(settings.lake)
    assert find_tables(Lake(settings)) == dict.fromkeys(SCHEMAS, ())
    for path in (
        *("snapshots/prices", "dev_anna_features/user_features", "default/mine", "features/a1"),
        *("it's/t", "a`b/t", "marts/x y", "marts/t`; drop table x", "Upper/t", "spark.db/t"),
        *("training_sets/acme", "2024/q1"),
    ):
        write_deltalake(lake / path, pa.table({"n": [1]}))
    (lake / "notes/texts").mkdir(parents=True)
    (lake / "raw/not_a_table").mkdir(parents=True)
    found = find_tables(Lake(settings))
    assert {schema: tables for schema, tables in found.items() if tables} == {
        "snapshots": ("prices",),
        "dev_anna_features": ("user_features",),
        "default": ("mine",),
        "features": ("a1",),
        "2024": ("q1",),
    }
    statements = register_statements(Lake(settings))
    assert len(statements) == len(set(SCHEMAS) | found.keys()) + 5
    assert all(text.count("'") == 2 for text in statements), "a location ends its text"

"""Tables of earlier releases go, with the people in them, and nothing else does."""

from pathlib import Path

from lakehouse.settings import LakeSettings
from lakehouse.storage.lake import Lake
from lakehouse.storage.retired import RETIRED_TABLES, remove_retired_tables


def test_retired_tables_are_deleted_and_no_other(tmp_path: Path) -> None:
    settings = LakeSettings(home=tmp_path)
    lake = Path(settings.lake)
    retired = [lake / schema / name for schema, name in RETIRED_TABLES]
    kept = [lake / "training" / "training_data", lake / "features" / "positives"]
    for folder in (*retired, *kept):
        for part in ("_delta_log/00000000000000000000.json", "tenant_id=a/rows.parquet"):
            file = folder / part
            file.parent.mkdir(parents=True)
            file.write_text("{}")

    remove_retired_tables(Lake(settings))
    remove_retired_tables(Lake(settings))

    assert not any(folder.exists() for folder in retired)
    assert all((folder / "tenant_id=a/rows.parquet").exists() for folder in kept)

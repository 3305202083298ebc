"""The loader reads exports and lakes of an object store as it does those of a disk."""

from datetime import timedelta
from pathlib import Path

import pyarrow.fs as pafs

from eta_data import TrainingSet
from lakehouse.dev.s3 import BUCKET, storage_options
from lakehouse.dev.servers import Server
from lakehouse.settings import LakeSettings
from lakehouse.storage.lake import Lake
from lakehouse.training.export.run import ExportFormat, export_snapshot
from lakehouse.training.publish import publish
from tests.support.lake import NOON
from tests.support.training import examples, write_training_tables


def test_the_order_on_s3_is_that_on_disk(s3: Server, tmp_path: Path) -> None:
    settings = LakeSettings(home=tmp_path / "home", project_dir=tmp_path)
    write_training_tables(settings, {"acme": examples(60)})
    manifest = publish(settings, "acme", gate=None, now=NOON + timedelta(days=1))
    export_snapshot(Lake(settings), manifest, ExportFormat.PARQUET, tmp_path / "out")
    options = storage_options(s3)
    store = pafs.S3FileSystem(
        access_key=options["AWS_ACCESS_KEY_ID"],
        secret_key=options["AWS_SECRET_ACCESS_KEY"],
        region=options["AWS_REGION"],
        endpoint_override=options["AWS_ENDPOINT_URL"],
    )
    for name, folder in (("copy", tmp_path / "out"), ("lake", Path(settings.lake))):
        pafs.copy_files(
            str(folder), f"{BUCKET}/loader/{name}",
            source_filesystem=pafs.LocalFileSystem(), destination_filesystem=store,
        )  # fmt: skip
    for name, folder in (("copy", tmp_path / "out"), ("lake", Path(settings.lake))):
        on_disk = TrainingSet.open(folder, "acme", manifest.snapshot_id)
        on_s3 = TrainingSet.open(
            f"s3://{BUCKET}/loader/{name}", "acme", manifest.snapshot_id,
            storage_options=options, verify=name == "copy",
        )  # fmt: skip
        state = on_disk.arrow(7, streams=2).state_dict()
        loader = on_s3.arrow(7, streams=2)
        loader.load_state_dict(state)
        assert list(loader) == list(on_disk.arrow(7, streams=2))

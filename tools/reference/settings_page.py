"""`docs/reference/settings.md`: every setting with its variable, type, default and meaning."""

import ast
import inspect
import textwrap
import types
from collections.abc import Sequence
from datetime import timedelta
from enum import Enum
from pathlib import Path
from typing import Any, Final, Literal, Union, get_args, get_origin

from pydantic import AliasChoices, SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined
from pydantic_settings import BaseSettings

from ingest_service.settings import ServiceSettings, StreamSettings
from lakehouse.settings import LakeSettings
from tools.reference.text import notice, page, paragraph, table

_CLASSES: Final[tuple[tuple[str, str, type[BaseSettings]], ...]] = (
    ("Lake and models", "Read by every command and by the service.", LakeSettings),
    ("Service", "Read by `eta serve`.", ServiceSettings),
    (
        "Stream",
        "Read by `eta consume`, `eta produce` and a service that writes events to Kafka.",
        StreamSettings,
    ),
)
_FOUND: Final = {
    "project_dir": "the nearest folder with that file, at or above the current one",
    "cache_dir": "`~/.cache/eta`",
}
"""Defaults that depend on the machine, as words."""

ELSEWHERE: Final = (
    (
        "ETA_DBT_THREADS",
        "number",
        "`2` (dev), `4`",
        "Models that dbt builds at the same time (`profiles.yml`).",
    ),
    (
        "ETA_THRIFT_HOST",
        "text",
        "`127.0.0.1`",
        "Thrift Server of the target `thrift` (`profiles.yml`).",
    ),
    (
        "ETA_THRIFT_PORT",
        "number",
        "`10000`",
        "Its port (`profiles.yml`).",
    ),
    (
        "ETA_THRIFT_USER",
        "text",
        "`dbt`",
        "The user that dbt names there (`profiles.yml`).",
    ),
    (
        "ETA_ENVIRONMENT",
        "path",
        "`.venv` in the project",
        "Environment that holds `eta` and `dbt`, for the DAGs.",
    ),
    (
        "ETA_HOLD_BACK_TENANTS",
        "`1`",
        "none",
        "Rows that fail a dbt test hold back their tenants, in a command that is part of a run; "
        "set by the DAGs.",
    ),
    (
        "ETA_WARM",
        "`0`",
        "none",
        "`warm-dbt` and `warm-eta` start the plain commands, for the DAGs.",
    ),
    (
        "ETA_RUN_DEADLINE_HOURS",
        "number",
        "`5`",
        "Hours after which a DAG run is late.",
    ),
    (
        "ETA_FRESHNESS_HOURS",
        "number",
        "`12`",
        "Longest that a received row may wait to be published, for the DAGs.",
    ),
    (
        "ETA_RUN_AFTER_ROWS",
        "number",
        "none",
        "New rows of one tenant after which a DAG run begins early; none: by time alone.",
    ),
    (
        "ETA_DOCS_DESTINATION",
        "path or URL",
        "`docs` in the home",
        "Where the DAG `publish_docs` writes the models' page.",
    ),
    (
        "ETA_URL",
        "URL",
        "`http://127.0.0.1:8000`",
        "The service that `eta upload` and `eta upload-job` talk to.",
    ),
    (
        "ETA_API_KEY",
        "text",
        "none",
        "The key they send; keeps it out of the list of processes.",
    ),
    (
        "ETA_DEBUG",
        "yes or no",
        "`false`",
        "Show the traceback of an error.",
    ),
)
"""Variables that no settings class reads: of `profiles.yml`, the DAGs and single options."""
SET_BY_ETA: Final = {"ETA_LAKE_CONTENT"}
"""Variables that a process of eta sets for dbt and nobody else does."""


def settings_page() -> str:
    """Return the page."""
    lines = [
        "# Settings",
        "",
        paragraph(
            "Every setting is an environment variable with a default that works on one machine.",
            "A mapping is JSON; yes or no is `true` or `false`; a duration is ISO 8601 (`PT10M`)",
            "or `HH:MM:SS`. What belongs to a tenant (sources, quotas, retention, thresholds) is",
            "no setting of the installation: see [tenants and keys](../tenants-and-keys.md).",
            notice("the settings classes"),
        ),
    ]
    for title, text, cls in _CLASSES:
        lines += ["", f"## {title}", "", f"{text} (`{cls.__module__}.{cls.__name__}`)", ""]
        lines += table(("variable", "type", "default", "meaning"), _rows(cls))
    lines += [
        "",
        "## dbt, Airflow and single commands",
        "",
        "Read by other files than these classes.",
        "",
    ]
    lines += table(
        ("variable", "type", "default", "meaning"), [(f"`{n}`", *r) for n, *r in ELSEWHERE]
    )
    return page(lines)


def variables() -> set[str]:
    """Return the name of every environment variable on the page."""
    own = {variable(cls, name) for _, _, cls in _CLASSES for name in cls.model_fields}
    return own | {row[0] for row in ELSEWHERE}


def variable(cls: type[BaseSettings], name: str) -> str:
    """Return the environment variable of a field."""
    alias = cls.model_fields[name].validation_alias
    if isinstance(alias, AliasChoices):
        alias = alias.choices[0]
    return str(alias) if alias else f"{cls.model_config.get('env_prefix', '')}{name}".upper()


def meanings(cls: type[BaseSettings]) -> dict[str, str]:
    """Return the text below each field of a settings class, by the field's name."""
    body = ast.parse(textwrap.dedent(inspect.getsource(cls))).body[0]
    assert isinstance(body, ast.ClassDef)
    found = {}
    for field, text in zip(body.body, body.body[1:], strict=False):
        is_text = isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant)
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and is_text:
            found[field.target.id] = str(text.value.value)  # type: ignore[attr-defined]
    return found


def _rows(cls: type[BaseSettings]) -> list[Sequence[str]]:
    texts = meanings(cls)
    return [
        (f"`{variable(cls, name)}`", _type(field), _default(name, field), texts[name])
        for name, field in cls.model_fields.items()
    ]


_NAMES: Final[dict[Any, str]] = {
    bool: "yes or no", int: "whole number", float: "number", str: "text", Path: "path",
    SecretStr: "secret", timedelta: "duration",
}  # fmt: skip


def _type(field: FieldInfo) -> str:
    bounds = []
    for bound in field.metadata:
        for name, sign in (("gt", ">"), ("ge", "≥"), ("lt", "<"), ("le", "≤")):
            if getattr(bound, name, None) is not None:
                bounds.append(f"{sign} {getattr(bound, name)}")
        if getattr(bound, "pattern", None):
            bounds.append(f"like `{bound.pattern}`")
    return ", ".join([_type_name(field.annotation), *bounds])


def _type_name(kind: Any) -> str:
    if get_origin(kind) is Literal:
        return " or ".join(f"`{value}`" for value in get_args(kind))
    if get_origin(kind) in (Union, types.UnionType):
        return " or ".join(_type_name(one) for one in get_args(kind) if one is not types.NoneType)
    if get_origin(kind) is dict:
        return "mapping (JSON)"
    return _NAMES[kind]


def _default(name: str, field: FieldInfo) -> str:
    if name in _FOUND:
        return _FOUND[name]
    value = field.get_default(call_default_factory=True, validated_data={})
    if value is None:
        return "none"
    assert value is not PydanticUndefined, f"{name} has no default"
    return f"`{_text(value)}`" + (f" ({_size(value)})" if "bytes" in name else "")


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, timedelta):
        hours, seconds = divmod(int(value.total_seconds()), 3600)
        return f"PT{hours}H" if not seconds else f"PT{int(value.total_seconds()) // 60}M"
    if isinstance(value, Enum):
        return str(value.value)
    return f"{value:g}" if isinstance(value, float) else str(value) or '""'


def _size(value: int) -> str:
    for unit, size in (("GiB", 1024**3), ("MiB", 1024**2), ("KiB", 1024)):
        if value >= size:
            return f"{value / size:g} {unit}"
    return f"{value} bytes"

"""Reads a tenant's settings from a YAML or JSON file and says which field is wrong."""

from pathlib import Path
from typing import Any, Final

import yaml
from pydantic import ValidationError

from lakehouse.contracts.settings_model import problems
from lakehouse.contracts.tenant import DataType, TenantSettings
from lakehouse.contracts.topics import STREAM_MAPPING
from lakehouse.errors import EtaError

_SHOWN: Final = 5
_MERGED: Final = "tag:yaml.org,2002:merge"
"""The tag of `<<`, which may stand in a mapping several times."""
_REMEDY: Final = "correct these fields; `eta tenants show TENANT` prints a complete example"


def read_settings(path: Path) -> TenantSettings:
    """Return the settings in the file (JSON is read as YAML, which contains it).

    Raises `EtaError` with the path of every wrong field, never with the field's value, and for a
    mapping of messages that says how lines are cut.
    """
    document = _load(path)
    try:
        settings = TenantSettings.model_validate(document)
    except ValidationError as error:
        faults = problems(error, "the whole file")
        more = [f"and {len(faults) - _SHOWN} more"] if len(faults) > _SHOWN else []
        raise EtaError(
            "\n  ".join([f"{path} is not valid:", *faults[:_SHOWN], *more]),
            remedy=_REMEDY,
        ) from error
    _refuse_lines_of_messages(path, settings)
    try:
        settings.check_meanings()
        settings.check_mapped_types()
        settings.check_effect()
    except ValueError as error:
        raise EtaError(f"{path} is not valid:\n  {error}", remedy=_REMEDY) from error
    return settings


def _refuse_lines_of_messages(path: Path, settings: TenantSettings) -> None:
    if STREAM_MAPPING not in settings.sources:
        return
    for data_type in DataType:
        if names := ", ".join(settings.mapping(STREAM_MAPPING, data_type).file_settings):
            raise EtaError(
                f"{path} is not valid:\n  sources.{STREAM_MAPPING}: messages have no lines to cut "
                f"into fields ({names})",
                remedy="give files a source mapping of their own",
            )


class _EachNameOnce(yaml.SafeLoader):
    """Refuses a mapping that has a key twice; YAML's own readers keep the last in silence."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        names: set[tuple[str, str]] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode) or key.tag == _MERGED:
                continue
            if (key.tag, key.value) in names:
                raise _RepeatedNameError(None, None, key.value, key.start_mark)
            names.add((key.tag, key.value))
        return super().construct_mapping(node, deep)


class _RepeatedNameError(yaml.constructor.ConstructorError):
    """`problem` is the key that stands twice in one mapping."""


def _load(path: Path) -> Any:
    try:
        # a SafeLoader
        document = yaml.load(path.read_text(encoding="utf-8"), Loader=_EachNameOnce)  # noqa: S506
    except OSError as error:
        raise EtaError(
            f"{path} cannot be read ({error.strerror})", remedy="check the path of the file"
        ) from error
    except UnicodeDecodeError as error:
        raise EtaError(f"{path} is not UTF-8 text", remedy="save it as UTF-8") from error
    except _RepeatedNameError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else "?"
        raise EtaError(
            f"{path} has {error.problem} twice in one place, again on line {line}",
            remedy="keep one of the two",
        ) from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" (line {mark.line + 1}, column {mark.column + 1})" if mark else ""
        raise EtaError(
            f"{path} is neither YAML nor JSON{where}", remedy="correct its syntax there"
        ) from error
    return {} if document is None else document

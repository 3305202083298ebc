"""A source mapping that comes with a file, as JSON: as strict as one in a tenant's settings.

What maps the ids of people is refused: an erasure finds a person under all ids by what the tenant's
settings say of ids, and would not know of these.
"""

from http import HTTPStatus
from typing import Final

from pydantic import ValidationError

from ingest_service.api.body import MAPPING_PART
from ingest_service.api.problems import ProblemError
from lakehouse.contracts.identifying import IDENTIFYING_COLUMNS
from lakehouse.contracts.settings_model import problems
from lakehouse.contracts.strict_json import StrictJsonError, plain_value
from lakehouse.contracts.tenant import SourceMapping

_SHOWN: Final = 5


def sent_mapping(text: bytes | None, named: str | None) -> SourceMapping | None:
    """Return the mapping that a form has, None when it has none; `named` is the parameter.

    Raises `ProblemError` 422: for what is no mapping, for one beside another that is named, and
    for one that maps ids of people to others.
    """
    if text is None:
        return None
    if named is not None:
        raise _refused("a mapping is named and another one sent", "send one of the two")
    try:
        mapping = SourceMapping.model_validate(plain_value(text))
    except StrictJsonError as error:
        raise _refused(f"it is not JSON: {error.message}", _CORRECT) from None
    except ValidationError as error:
        faults = problems(error, "the mapping")
        more = f" and {len(faults) - _SHOWN} more" if len(faults) > _SHOWN else ""
        raise _refused("; ".join(faults[:_SHOWN]) + more, _CORRECT) from None
    values = {field for one in (mapping, *mapping.data_types.values()) for field in one.values}
    ids = sorted(IDENTIFYING_COLUMNS & values)
    if ids:
        raise _refused(
            f"`values` maps {', '.join(ids)}: an erasure could not know whose rows those are",
            "save such a mapping in the tenant's settings, and name it",
        )
    return mapping


_CORRECT: Final = "correct these settings, or leave the part out; docs/ingestion.md has them all"


def _refused(message: str, remedy: str) -> ProblemError:
    status = HTTPStatus.UNPROCESSABLE_ENTITY
    return ProblemError(
        status, "bad_mapping_settings", f"`{MAPPING_PART}`: {message}", remedy=remedy
    )

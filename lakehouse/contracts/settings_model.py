"""What every model of a tenant's settings refuses, and how it says so.

pydantic reads `true` as the number 1, and its messages name classes of Python, which nobody who
writes settings knows.
"""

from typing import Any, Final

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    ValidationError,
    field_validator,
    model_validator,
)

MOST_COUNT: Final = 1_000_000_000
"""The greatest number of rows, users or items that a setting may name."""
_NAMED: Final = 4
_PARTS_OF_PYDANTIC: Final = ("[key]",)


class SettingsModel(BaseModel):
    """Settings with names: no unknown ones, no booleans where numbers or texts stand.

    No tenant setting is a boolean. One that is has to be exempted here.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _has_entries(cls, given: Any) -> Any:
        if isinstance(given, (dict, cls)):
            return given
        names = [*cls.model_fields]
        more = ", …" if len(names) > _NAMED else ""
        state = "it is empty" if given is None else "it is one value"
        raise ValueError(
            f"{state}, but has entries of its own ({', '.join(names[:_NAMED])}{more}); "
            "`{}` stands for all defaults"
        )

    @field_validator("*", mode="before")
    @classmethod
    def _is_no_boolean(cls, value: Any) -> Any:
        if isinstance(value, bool):
            raise ValueError(
                "a boolean, as YAML reads yes, no, on, off, true and false, is no value of this "
                "setting"
            )
        return value


def _check_list(value: Any) -> Any:
    if value is None or isinstance(value, (list, tuple, set, frozenset)):
        return value
    raise ValueError("it is a list, as in [click, purchase]")


IsList: Final = BeforeValidator(_check_list)
"""Says of what is no list that it has to be one."""


def problems(error: ValidationError, whole: str) -> list[str]:
    """Return what is wrong, one text per place; `whole` stands for the place of all of it.

    No text has the value that was given.
    """
    return [
        f"{_place(one['loc']) or whole}: {one['msg'].removeprefix('Value error, ')}"
        for one in error.errors(include_url=False, include_input=False)
    ]


def _place(location: tuple[int | str, ...]) -> str:
    return ".".join(str(part) for part in location if part not in _PARTS_OF_PYDANTIC)

"""The project's macros without dbt and Spark; as with dbt, `return` ends a macro with a value."""

import datetime
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn

import jinja2

MACROS = Path(__file__).parents[2] / "macros"
_MACRO = re.compile(
    r"\{%-?\s*(?:macro|test)\s+(\w+).*?\{%-?\s*end(?:macro|test)\s*-?%\}", re.DOTALL
)
_TEST = re.compile(r"(\{%-?\s*(?:end)?)test\b")
"""dbt's own tag for a generic test, which is a macro otherwise."""


class CompilerError(Exception):
    """What dbt raises for `exceptions.raise_compiler_error`."""


class _Returned(Exception):
    def __init__(self, value: Any) -> None:
        super().__init__()
        self.value = value


def macros(*paths: str, **context: Any) -> Mapping[str, Callable[..., Any]]:
    """Return the macros of these files (below `macros/`) by name; `context` is what dbt gives."""
    environment = jinja2.Environment(extensions=["jinja2.ext.do"])
    found: dict[str, Callable[..., Any]] = {}
    for path in paths:
        for match in _MACRO.finditer((MACROS / path).read_text()):
            found[match[1]] = _callable(environment, match[1], _TEST.sub(r"\1macro", match[0]))
    environment.globals |= {
        "return": _return,
        "execute": True,
        "exceptions": SimpleNamespace(raise_compiler_error=_refuse),
        "modules": SimpleNamespace(re=re, datetime=datetime),
        **found,
        **context,
    }
    return found


def _callable(environment: jinja2.Environment, name: str, text: str) -> Callable[..., Any]:
    template = environment.from_string(text)

    def call(*given: Any, **named: Any) -> Any:
        try:
            return getattr(template.module, name)(*given, **named)
        except _Returned as returned:
            return returned.value

    return call


def _return(value: Any) -> NoReturn:
    raise _Returned(value)


def _refuse(message: str) -> NoReturn:
    raise CompilerError(message)

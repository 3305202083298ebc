"""What the columns of a training set mean: the descriptions of the models, where dbt has them.

`lakehouse.training.feature_docs` writes those of the features there.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

_MODELS: Final = "dbt_project/models/training/_training__models.yml"
_TEXTS: Final = "dbt_project/docs/columns.md"
_BLOCK: Final = re.compile(r"{%\s*docs\s+(\w+)\s*%}(.*?){%\s*enddocs\s*%}", re.DOTALL)
_REFERENCE: Final = re.compile(r"{{\s*doc\('(\w+)'\)\s*}}")


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a column says, and whether it is marked as personal."""

    text: str
    is_personal: bool


UNKNOWN: Final = Meaning("not described in the models", is_personal=True)
"""Of a column that the models do not have: nobody has said that it is not personal."""


def column_meanings(project: Path) -> dict[str, Meaning]:
    """Return what the columns of training data and examples mean, by name.

    Empty where there are no models in `project`.
    """
    try:
        models = yaml.safe_load((project / _MODELS).read_text("utf-8"))["models"]
        texts = dict(_BLOCK.findall((project / _TEXTS).read_text("utf-8")))
    except FileNotFoundError:
        return {}
    return {
        column["name"]: _meaning(column, texts)
        for model in models
        if model["name"] in ("training_data", "training_examples")
        for column in model["columns"]
    }


def _meaning(column: Mapping[str, Any], texts: Mapping[str, str]) -> Meaning:
    said = _REFERENCE.sub(lambda match: texts.get(match[1], match[1]), column["description"])
    marks = column.get("config", {}).get("meta", {})
    return Meaning(" ".join(said.replace("`", "").split()), bool(marks.get("pii")))

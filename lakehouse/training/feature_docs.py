"""The features' descriptions in the models' YAML files.

The variable `features` in `dbt_project.yml` names each feature of users and items once, with its
type and description; `example_features` those that only training examples have. dbt takes
descriptions from the models' YAML files alone, so they are written into those by
`python -m lakehouse.training.feature_docs`; a test sees that they agree. Columns that are no
features stay as they are.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import yaml

_FILES: Final = (
    "features/_features__models.yml",
    "serving/_serving__models.yml",
    "training/_training__models.yml",
)
_MODELS: Final[Mapping[str, Sequence[str]]] = {
    "user": ("user_feature_history", "user_features", "user_features_now"),
    "item": ("item_feature_history", "item_features", "item_features_now"),
}
_EXAMPLES: Final = "training_examples"
_OF_EXAMPLES: Final[Mapping[str, tuple[str, str]]] = {
    "user": ("user_", "User, strictly before the event. {} Null before the first interaction."),
    "profile": ("user_", "User, strictly before the event. {}"),
    "item": (
        "item_",
        "Item, by the last full hour before the event. {} Null before the first interaction.",
    ),
    "catalogue": ("item_", "Item, as the catalogue had it strictly before the event. {}"),
    "context": ("context_", "Of the event; a sampled or shown negative has its positive's. {}"),
}
"""What stands before the names and around the descriptions, in the order of the columns."""
_NAMES_OF_ROWS: Final = {
    "user": ("tenant_id", "user_hash", "user_id"),
    "item": ("tenant_id", "item_id"),
}
_AFTER: Final = (
    *("interaction_count", "agent_count", "interactions_1h", "interval_variation"),
    *("age_hours", "as_of", "last_interaction"),
)


def feature_documents(project: Path) -> dict[Path, str]:
    """Return the models' YAML files as they should be: path → text.

    Raises `ValueError` when a feature lacks its type or description.
    """
    variables = yaml.safe_load((project / "dbt_project.yml").read_text("utf-8"))["vars"]
    features = variables["features"] | variables.get("example_features", {})
    found = {}
    for name in _FILES:
        path = project / "dbt_project" / "models" / name
        document = yaml.safe_load(path.read_text("utf-8"))
        for model in document["models"]:
            _describe(model, features)
        found[path] = yaml.safe_dump(document, sort_keys=False, width=120, allow_unicode=True)
    return found


def _describe(model: dict[str, Any], features: Mapping[str, Mapping[str, Any]]) -> None:
    """Put the features' columns between the columns that name the row and those after them."""
    if model["name"] == _EXAMPLES:
        new = [
            _column(f"{prefix}{name}", feature, text)
            for entity, (prefix, text) in _OF_EXAMPLES.items()
            for name, feature in features.get(entity, {}).items()
            if feature.get("in_examples", True)
        ]
        kept = [c for c in model["columns"] if not _is_example_feature(c["name"])]
        model["columns"] = [*kept[:-1], *new, kept[-1]]
        return
    for entity, models in _MODELS.items():
        if model["name"] in models:
            new = [_column(name, feature, "{}") for name, feature in features[entity].items()]
            first = [c for c in model["columns"] if c["name"] in _NAMES_OF_ROWS[entity]]
            last = [c for c in model["columns"] if c["name"] in _AFTER]
            model["columns"] = [*first, *new, *last]


def _is_example_feature(name: str) -> bool:
    is_key = name in ("user_hash", "user_id", "item_id")
    return name.startswith(("user_", "item_", "context_")) and not is_key


def _column(name: str, feature: Mapping[str, Any], text: str) -> dict[str, Any]:
    if not feature.get("type") or not feature.get("description"):
        raise ValueError(f"the feature {name} needs a type and a description")
    column: dict[str, Any] = {"name": name, "description": text.format(feature["description"])}
    if feature.get("pii"):
        column["config"] = {"meta": {"pii": True}}
    return column


def main() -> None:
    """Write the files that differ; prints their names."""
    for path, text in feature_documents(Path.cwd()).items():
        if path.read_text("utf-8") != text:
            path.write_text(text, encoding="utf-8")
            sys.stdout.write(f"{path}\n")


if __name__ == "__main__":
    main()

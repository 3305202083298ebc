"""A feature is named once, and described wherever it stands."""

from pathlib import Path

import pytest
import yaml

from lakehouse.training.feature_docs import feature_documents
from tests.conftest import PROJECT_DIR


def test_the_models_files_describe_the_features() -> None:
    for path, text in feature_documents(PROJECT_DIR).items():
        assert path.read_text() == text, "python -m lakehouse.training.feature_docs"


def test_a_feature_stands_in_history_current_serving_and_examples() -> None:
    features = yaml.safe_load((PROJECT_DIR / "dbt_project.yml").read_text())["vars"]["features"]
    models = {
        model["name"]: [column["name"] for column in model["columns"]]
        for text in feature_documents(PROJECT_DIR).values()
        for model in yaml.safe_load(text)["models"]
    }
    for entity, named in features.items():
        for name, feature in named.items():
            for table in ("feature_history", "features", "features_now"):
                assert name in models[f"{entity}_{table}"]
            is_carried = f"{entity}_{name}" in models["training_examples"]
            assert is_carried == feature.get("in_examples", True)


def test_a_feature_without_a_description_is_refused(tmp_path: Path) -> None:
    (tmp_path / "dbt_project.yml").write_text("vars: {features: {user: {x: {type: bigint}}}}")
    models = tmp_path / "dbt_project" / "models" / "features"
    models.mkdir(parents=True)
    (models / "_features__models.yml").write_text("models: [{name: user_features, columns: []}]")
    with pytest.raises(ValueError, match="the feature x needs a type and a description"):
        feature_documents(tmp_path)

"""The dbt variables of the project, as `dbt_project.yml` sets them."""

from typing import Any

import yaml

from lakehouse.settings import PROJECT_FILE, LakeSettings


def project_variables(settings: LakeSettings) -> dict[str, Any]:
    """Return the variables by name."""
    text = (settings.project / PROJECT_FILE).read_text(encoding="utf-8")
    found: dict[str, Any] = yaml.safe_load(text)["vars"]
    return found

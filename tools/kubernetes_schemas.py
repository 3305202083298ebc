"""`python -m tools.kubernetes_schemas FOLDER`: take over the schemas of the chart's kinds.

FOLDER is `…/kubernetes-json-schema/v1.34.0-local-strict` of the distribution `kubernetes-validate`
(PyPI). Each schema is written whole, with what it refers to and without descriptions, as
kubeconform and `jsonschema` read it; see deploy/helm/schemas/README.md.
"""

import json
import sys
from pathlib import Path
from typing import Any, Final

from tools.reference.text import PROJECT_DIR

SCHEMAS: Final = PROJECT_DIR / "deploy" / "helm" / "schemas"
KINDS: Final = (
    *("configmap-v1", "persistentvolumeclaim-v1", "pod-v1", "service-v1", "serviceaccount-v1"),
    *("deployment-apps-v1", "statefulset-apps-v1", "cronjob-batch-v1", "job-batch-v1"),
    *("networkpolicy-networking-v1", "ingress-networking-v1", "poddisruptionbudget-policy-v1"),
    "horizontalpodautoscaler-autoscaling-v2",
)
_NOT_CHECKED: Final = ("description", "x-kubernetes-group-version-kind", "$schema")
_STATUS: Final = ("status",)


def main(folder: Path) -> None:
    """Write a file for each of `KINDS` from the schemas of one version of Kubernetes."""
    definitions = json.loads((folder / "_definitions.json").read_text())["$defs"]
    for kind in KINDS:
        schema = _plain(json.loads((folder / f"{kind}.json").read_text()))
        for name in _STATUS:  # the cluster's, nothing a chart may say
            schema["properties"].pop(name, None)
        schema["definitions"] = _used(schema, definitions)
        text = json.dumps(schema, separators=(",", ":"), sort_keys=True)
        (SCHEMAS / f"{kind}.json").write_text(f"{text}\n")


def _used(schema: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    wanted = _references(schema)
    while wanted:
        name = wanted.pop()
        if name not in found:
            found[name] = _plain(definitions[name])
            wanted |= _references(found[name])
    return found


def _references(node: Any) -> set[str]:
    if isinstance(node, list):
        return {name for part in node for name in _references(part)}
    if not isinstance(node, dict):
        return set()
    found = {name for part in node.values() for name in _references(part)}
    reference = node.get("$ref")
    return found | ({reference.rpartition("/")[2]} if isinstance(reference, str) else set())


def _plain(node: Any, *, is_named: bool = False) -> Any:
    """Leave out what says nothing to a validator; `is_named`: the keys are names of properties."""
    if isinstance(node, list):
        return [_plain(part) for part in node]
    if not isinstance(node, dict):
        return node
    return {
        key: f"#/definitions/{value.rpartition('/')[2]}"
        if key == "$ref" and isinstance(value, str)
        else _plain(value, is_named=not is_named and key == "properties")
        for key, value in node.items()
        if is_named or key not in _NOT_CHECKED
    }


if __name__ == "__main__":
    main(Path(sys.argv[1]))

"""What the chart renders to, as it is checked in, and the tools that render and check it."""

from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
import yaml

from tools.chart import RENDERED, program

Manifest = dict[str, Any]


@cache
def rendered(name: str) -> list[Manifest]:
    """The manifests that the chart makes of `ci/NAME.yaml`, hooks and tests included."""
    text = (RENDERED / f"{name}.yaml").read_text()
    return [one for one in yaml.load_all(text, yaml.CSafeLoader) if one is not None]


def of_kind(manifests: list[Manifest], *kinds: str) -> list[Manifest]:
    """Those of some kinds."""
    return [one for one in manifests if one["kind"] in kinds]


def pod_specs(manifests: list[Manifest]) -> Iterator[tuple[str, Manifest]]:
    """Each pod's labels and spec, whatever makes the pod, by the name of that."""
    for one in manifests:
        if one["kind"] == "Pod":
            yield one["metadata"]["name"], {"metadata": one["metadata"], "spec": one["spec"]}
        elif one["kind"] == "CronJob":
            yield one["metadata"]["name"], one["spec"]["jobTemplate"]["spec"]["template"]
        elif "template" in (one.get("spec") or {}):
            yield one["metadata"]["name"], one["spec"]["template"]


def containers(template: Manifest) -> list[Manifest]:
    """The containers of a pod, those that come first included."""
    spec = template["spec"]
    return [*spec.get("initContainers", ()), *spec["containers"]]


def needed(name: str) -> str:
    """Where a tool is; skips the test where it is not installed."""
    found = program(name)
    if found is None:
        pytest.skip(f"no {name}: `.ci/install-chart-tools` builds it in minutes")
    return found

"""`python -m tools.chart`: write what the Helm chart renders to, from the values in its `ci`.

The rendered files are checked in: a change of a template is seen as what it does, and the tests of
what runs in a cluster need no Helm. Helm and kubeconform come from the PATH, or from the folder
that `.ci/install-chart-tools` puts them into.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

from tools.reference.text import PROJECT_DIR

HELM: Final = PROJECT_DIR / "deploy" / "helm"
CHART: Final = HELM / "eta"
RENDERED: Final = HELM / "rendered"
SCHEMAS: Final = HELM / "schemas"
KUBERNETES: Final = "1.34.0"
"""The version that the chart is rendered for, that of the schemas."""
COMMAND: Final = "uv run python -m tools.chart"


def program(name: str) -> str | None:
    """Return where `helm` or `kubeconform` is, None when it is not installed."""
    cache = os.environ.get("ETA_CACHE_DIR") or Path.home() / ".cache" / "eta"
    return shutil.which(name) or shutil.which(name, path=str(Path(cache) / "tools"))


def template(
    helm: str, *arguments: str | Path, chart: Path = CHART
) -> "subprocess.CompletedProcess[str]":
    """Render a chart as a release `eta` in the namespace `data`; the network is not asked."""
    command = [helm, "template", "eta", str(chart), "-n", "data", "--kube-version", KUBERNETES]
    command += map(str, arguments)
    return subprocess.run(command, capture_output=True, text=True, check=False)


def values() -> list[Path]:
    """Return the files of values that the chart is rendered with."""
    return sorted((CHART / "ci").glob("*.yaml"))


def main() -> int:
    """Write the rendered files that are stale, and say which."""
    helm = program("helm")
    if helm is None:
        sys.stderr.write("there is no helm: install it, or run .ci/install-chart-tools\n")
        return 1
    RENDERED.mkdir(exist_ok=True)
    for file in values():
        done = template(helm, "-f", file)
        if done.returncode:
            sys.stderr.write(done.stderr)
            return 1
        target = RENDERED / file.name
        if not target.is_file() or target.read_text(encoding="utf-8") != done.stdout:
            target.write_text(done.stdout, encoding="utf-8")
            sys.stdout.write(f"written: {target.relative_to(PROJECT_DIR)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""What the Helm chart has of the rest: rules, dashboard, topics. A chart reads no file outside."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from lakehouse.contracts.topics import GROUP, TOPICS
from tools.reference.text import PROJECT_DIR

_FILES: Final = Path("deploy/helm/eta/files")
_COPIES: Final = ("deploy/prometheus/rules.yml", "deploy/grafana/data_quality.json")


def _copy(source: str) -> Callable[[], str]:
    return lambda: (PROJECT_DIR / source).read_text(encoding="utf-8")


def _topics() -> str:
    """Return a line for each topic, with the group that reads it."""
    return "".join(f"{GROUP} {topic.name}\n" for topic in TOPICS)


CHART_FILES: Final[Mapping[str, Callable[[], str]]] = {
    **{str(_FILES / Path(source).name): _copy(source) for source in _COPIES},
    str(_FILES / "topics.txt"): _topics,
}
"""Each file, by its path in the project, and what makes its text."""

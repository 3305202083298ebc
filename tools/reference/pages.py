"""Which pages are generated, and by what."""

from collections.abc import Callable, Mapping
from typing import Final

from tools.reference.adr_index import adr_index
from tools.reference.chart_files import CHART_FILES
from tools.reference.cli_page import cli_page
from tools.reference.metrics_page import metrics_page
from tools.reference.settings_page import settings_page

PAGES: Final[Mapping[str, Callable[[], str]]] = {
    "docs/reference/settings.md": settings_page,
    "docs/reference/cli.md": cli_page,
    "docs/reference/metrics.md": metrics_page,
    "docs/adr/README.md": adr_index,
    **CHART_FILES,
}
"""Each generated page, by its path in the project, and what makes its text."""
COMMAND: Final = "uv run python -m tools.reference"

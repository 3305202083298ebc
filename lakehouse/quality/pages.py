"""The files of the page: as the service serves them, and as one file that needs no service.

Both draw a document (`quality.document`) with the same scripts. The script makes every element from
text nodes; what stands in the file beside it is JSON that cannot end its element.
"""

import hashlib
from base64 import b64encode
from collections.abc import Sequence
from html import escape
from importlib.resources import files
from typing import Final

from lakehouse.quality.document import QualityReport

_DRAWING: Final = ("elements.js", "charts.js", "sections.js")
_FILE: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<noscript>This file draws with JavaScript. As text: eta quality report.</noscript>
<script type="application/json" id="document">{document}</script>
<script>{script}</script>
</body>
</html>
"""


def page_html() -> str:
    """Return the page that the service serves; it holds nothing of a tenant's."""
    return _text("page.html")


def page_style() -> str:
    """Return its style sheet."""
    return _text("page.css")


def page_script() -> str:
    """Return its script."""
    return page_program(_parts(*_DRAWING, "entry.js", "live.js"))


def report_html(report: QualityReport) -> str:
    """Return a report as one HTML file; opening it makes no request, its policy allows none."""
    style = _text("page.css")
    script = page_program(_parts(*_DRAWING, "filed.js"))
    policy = (
        f"default-src 'none'; style-src {_hash(style)}; "
        f"script-src {_hash(script)}; base-uri 'none'; form-action 'none'"
    )
    document = report.model_dump_json()
    for character in "<>&":
        document = document.replace(character, f"\\u{ord(character):04x}")
    return _FILE.format(
        policy=escape(policy),
        title=escape(f"{report.tenant_id} · data quality"),
        style=style,
        script=script,
        document=document,
    )


def shared_parts() -> list[str]:
    """Return the scripts that another page of the service begins with: elements, and its key."""
    return _parts("elements.js", "entry.js")


def page_program(parts: Sequence[str]) -> str:
    """Return scripts as one that leaves no name behind."""
    text = "\n".join(parts)
    return f'(() => {{\n"use strict";\n{text}}})();\n'


def _parts(*names: str) -> list[str]:
    return [_text(name) for name in names]


def _text(name: str) -> str:
    return files("lakehouse.quality").joinpath("page", name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{b64encode(digest).decode()}'"

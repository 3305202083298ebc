"""`python -m tools.reference`: write every generated page that is stale, and say which."""

import sys

from tools.reference.pages import PAGES
from tools.reference.text import PROJECT_DIR


def main() -> None:
    """Write the pages into the checkout that this module is part of."""
    for path, page in PAGES.items():
        file = PROJECT_DIR / path
        text = page()
        if not file.is_file() or file.read_text(encoding="utf-8") != text:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
            sys.stdout.write(f"written: {path}\n")


if __name__ == "__main__":
    main()

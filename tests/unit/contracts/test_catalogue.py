"""The catalogue of codes: complete, and the same in the documentation."""

from lakehouse.contracts.catalogue import catalogue_page
from lakehouse.contracts.reasons import (
    EXPLANATIONS,
    FILE_FAULTS,
    WARNINGS,
    FileFault,
    ReasonCode,
    WarningCode,
)
from tests.conftest import PROJECT_DIR


def test_every_code_has_a_meaning_and_a_remedy() -> None:
    assert list(EXPLANATIONS) == list(ReasonCode)
    assert list(WARNINGS) == list(WarningCode)
    assert list(FILE_FAULTS) == list(FileFault)


def test_page_says_what_the_code_says() -> None:
    page = (PROJECT_DIR / "docs" / "codes.md").read_text()
    assert page == catalogue_page(), "python -m lakehouse.contracts.catalogue > docs/codes.md"

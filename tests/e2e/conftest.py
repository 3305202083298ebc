"""Fixtures of the end-to-end tests."""

from tests.support.browsing import browser, watched
from tests.support.service import service

__all__ = ["browser", "service", "watched"]

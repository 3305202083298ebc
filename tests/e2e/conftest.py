"""Fixtures of the end-to-end tests."""

from tests.support.service import service

__all__ = ["service"]

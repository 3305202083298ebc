"""How much a tenant may upload: at once, and in a day."""

from contextlib import ExitStack
from datetime import UTC, date, datetime

import pytest

from ingest_service.sources.events.quotas import QuotaError
from ingest_service.sources.uploads.quotas import UploadQuotas
from lakehouse.contracts.tenant import Quotas

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)


class Days:
    """Nothing was sent before."""

    def add(self, _: date, counts: dict[str, int]) -> dict[str, int]:
        return counts

    def of(self, _tenant_id: str, _day: date) -> int:
        return 0


def quotas_of(moment: list[datetime]) -> UploadQuotas:
    return UploadQuotas(Days(), lambda: moment[0])


def test_so_many_uploads_are_under_way_at_once() -> None:
    uploads, quotas = quotas_of([NOON]), Quotas(parallel_uploads=2)
    with ExitStack() as stack:
        for _ in range(2):
            stack.enter_context(uploads.upload("acme", quotas, None))
        with pytest.raises(QuotaError) as error, uploads.upload("acme", quotas, None):
            pass
        assert (error.value.code, error.value.retry_after) == ("parallel_uploads", 5)
        with uploads.upload("other", quotas, None):
            pass
    with uploads.upload("acme", quotas, None):
        pass


def test_an_upload_that_fails_is_over() -> None:
    uploads, quotas = quotas_of([NOON]), Quotas(parallel_uploads=1)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError), uploads.upload("acme", quotas, None):
            raise ZeroDivisionError


def test_bytes_of_a_day_are_counted_as_they_arrive() -> None:
    moment = [NOON]
    uploads, quotas = quotas_of(moment), Quotas(upload_bytes_per_day=100)
    with uploads.upload("acme", quotas, 60) as count:
        count(60)
    with pytest.raises(QuotaError) as error, uploads.upload("acme", quotas, 41):
        pass
    assert (error.value.code, error.value.retry_after) == ("daily_upload_quota", 12 * 3600)
    with uploads.upload("acme", quotas, None) as count:
        count(40)
        with pytest.raises(QuotaError):
            count(1)
    with pytest.raises(QuotaError), uploads.upload("acme", quotas, None):
        pass
    with uploads.upload("other", quotas, 100) as count:
        count(100)
    moment[0] = datetime(2026, 5, 2, tzinfo=UTC)
    with uploads.upload("acme", quotas, 100) as count:
        count(100)


def test_null_is_no_limit() -> None:
    uploads = quotas_of([NOON])
    quotas = Quotas(upload_bytes_per_day=None, parallel_uploads=None)
    with ExitStack() as stack:
        for _ in range(100):
            count = stack.enter_context(uploads.upload("acme", quotas, 10**15))
            count(10**15)

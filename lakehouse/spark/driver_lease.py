"""One Spark driver writes a lake in a bucket: a lease in the bucket says which one.

Delta's commits to S3 look whether a version is there and then put it, under a lock of the JVM: two
drivers can overwrite each other's commits. So whoever writes the models' tables through a driver
first takes the lake's lease for it, and renews it while it writes.

The lease is the object with the greatest number in `spark-driver/`. Each change is a put of the
next number that fails when it is there already, so of two that change it at once one wins, and the
other looks again. Times are the store's own: clocks of machines do not matter.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from time import monotonic
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

from lakehouse.control.owner import Owner, is_dead, this_process
from lakehouse.errors import EtaError
from lakehouse.spark.one_driver import Driver, LeaseLost
from lakehouse.storage.lake import Lake
from lakehouse.storage.s3 import bucket_prefix, s3_client

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

FOLDER: Final = "spark-driver"
LEASE: Final = timedelta(minutes=15)
"""How long a writer may show no sign of life. A statement goes on in the driver when its client is
killed: nobody else may write before it has ended."""
RENEWALS: Final = 15
"""How often it is renewed in that time."""

_TRIES: Final = 20
_TAKEN: Final = (409, 412)


@dataclass(frozen=True, slots=True)
class Lease:
    """Which driver may write the lake; `writers` are the ends of the leases of its clients.

    `process` is that of a driver that was started by `eta dev spark` and ends with it.
    """

    driver: Driver
    taken_at: datetime
    writers: dict[str, datetime] = field(default_factory=dict)
    process: Owner | None = None

    def held_until(self, now: datetime) -> datetime | None:
        """When another driver may write; None when it may now.

        A process of this machine is seen: as long as it lives nobody else may.
        """
        if self.process is not None and is_dead(self.process):
            return None
        alive = [end for end in self.writers.values() if end > now]
        if self.is_seen:
            return max([*alive, now + LEASE])
        return max(alive, default=None)

    @property
    def is_seen(self) -> bool:
        """Whether the driver's process is one of this machine."""
        return self.process is not None and self.process.host == this_process().host


class AnotherDriver(EtaError):
    """Another Spark driver writes the lake."""

    def __init__(self, lake: Lake, lease: Lease, until: datetime) -> None:
        self.lease = lease
        end = (
            f"or end it (`eta dev spark down` where it was started, process {lease.process.pid})"
            if lease.process is not None and lease.is_seen
            else f"or end it and wait, until {until:%H:%M:%S} UTC if it was killed; if you know "
            "that it has ended: `eta spark release`"
        )
        super().__init__(
            f"the lake {lake.location()} is written by the Spark {lease.driver.name} "
            f"({lease.driver.address}), since {lease.taken_at:%Y-%m-%d %H:%M:%S} UTC: "
            "two drivers on one bucket can lose commits",
            remedy=f"go through it (ETA_SPARK_REMOTE={lease.driver.address}), {end}",
        )


class DriverLease:
    """The lease of one lake; several processes and threads may use it at once."""

    def __init__(self, lake: Lake, *, lease: timedelta = LEASE) -> None:
        self._lake = lake
        self._length = lease
        place = bucket_prefix(lake)
        self._bucket = place.bucket
        self._prefix = f"{place.prefix}/{FOLDER}/".lstrip("/")
        self._client: S3Client = s3_client(lake)

    def current(self) -> tuple[Lease | None, datetime]:
        """Return the lease, None before there was one, and the store's time."""
        _, lease, now = self._newest()
        return lease, now

    def hold(self, driver: Driver, writer: str, *, is_renewal: bool = False) -> None:
        """Take or renew the lease for a writer; raises `AnotherDriver`.

        A renewal raises `LeaseLost` where the writer has no part in the lease any more: somebody
        released it, and must not find it taken again.
        """

        def with_writer(lease: Lease | None, now: datetime) -> Lease:
            own = self._own(lease, driver, now)
            if is_renewal and writer not in own.writers:
                raise LeaseLost
            ends = {name: end for name, end in own.writers.items() if end > now}
            return replace(own, writers={**ends, writer: now + self._length})

        self._change(with_writer)

    def end(self, driver: Driver, writer: str) -> None:
        """End a writer's part in the lease; nothing when another driver has it."""

        def without_writer(lease: Lease | None, _: datetime) -> Lease | None:
            if lease is None or lease.driver.name != driver.name or writer not in lease.writers:
                return None
            others = {name: end for name, end in lease.writers.items() if name != writer}
            return replace(lease, writers=others)

        self._change(without_writer)

    def keep(self, driver: Driver, process: Owner) -> None:
        """Take the lease for a driver that was started here, until its process ends."""
        self._change(lambda lease, now: replace(self._own(lease, driver, now), process=process))

    def release(self) -> Lease | None:
        """Free the lease whoever has it; return what it was."""
        _, lease, _ = self._newest()

        def released(found: Lease | None, _: datetime) -> Lease | None:
            is_it = (
                found is not None and lease is not None and found.driver.name == lease.driver.name
            )
            return replace(found, writers={}, process=None) if found and is_it else None

        self._change(released)
        return lease

    def refuse_another(self) -> None:
        """Raise `AnotherDriver` while a driver may write: who asks is about to start one."""
        lease, now = self.current()
        until = None if lease is None else lease.held_until(now)
        if lease is not None and until is not None:
            raise AnotherDriver(self._lake, lease, until)

    def _own(self, lease: Lease | None, driver: Driver, now: datetime) -> Lease:
        """The driver's lease as it is, or a new one; raises `AnotherDriver`."""
        if lease is not None and lease.driver.name == driver.name:
            return lease
        until = None if lease is None else lease.held_until(now)
        if lease is not None and until is not None:
            raise AnotherDriver(self._lake, lease, until)
        return Lease(driver, now)

    def _change(self, changed: Callable[[Lease | None, datetime], Lease | None]) -> None:
        """Put the next version of the lease; None leaves it. Looks again when somebody was first.

        A number that was deleted can be put again by who looked long ago: it is not the greatest,
        which is never deleted, and does not count.
        """
        for _ in range(_TRIES):
            number, lease, now = self._newest()
            wanted = changed(lease, now)
            if wanted is None:
                return
            if self._put(number + 1, wanted) and self._numbers()[0][-1] == number + 1:
                self._delete_below(number + 1)
                return
        raise EtaError(
            f"the lease of the lake {self._lake.location()} changes faster than it can be taken",
            remedy="run the command again",
        )

    def _newest(self) -> tuple[int, Lease | None, datetime]:
        for _ in range(_TRIES):
            numbers, now = self._numbers()
            if not numbers:
                return 0, None, now
            text = self._get(numbers[-1])
            if text is not None:  # else a newer one came meanwhile
                return numbers[-1], _lease(text), now
        raise EtaError(
            f"the lease of the lake {self._lake.location()} cannot be read",
            remedy=f"look at the objects in {FOLDER}/ of the lake",
        )

    def _numbers(self) -> tuple[list[int], datetime]:
        answer = self._client.list_objects_v2(Bucket=self._bucket, Prefix=self._prefix)
        now = parsedate_to_datetime(answer["ResponseMetadata"]["HTTPHeaders"]["date"])
        names = [entry["Key"].removeprefix(self._prefix) for entry in answer.get("Contents", [])]
        return sorted(int(n[:-5]) for n in names if n[:-5].isdecimal()), now.astimezone(UTC)

    def _key(self, number: int) -> str:
        return f"{self._prefix}{number:012}.json"

    def _get(self, number: int) -> bytes | None:
        from botocore.exceptions import ClientError

        try:
            found = self._client.get_object(Bucket=self._bucket, Key=self._key(number))
        except ClientError as error:
            if _status(error) == 404:
                return None
            raise
        return found["Body"].read()

    def _put(self, number: int, lease: Lease) -> bool:
        """Whether the number was free. An answer that was lost is asked for again by the client.

        It then meets its own object: the content says so.
        """
        from botocore.exceptions import ClientError

        body = _text(lease)
        try:
            self._client.put_object(
                Bucket=self._bucket, Key=self._key(number), Body=body, IfNoneMatch="*"
            )
        except ClientError as error:
            if _status(error) in _TAKEN:
                return self._get(number) == body
            raise
        return True

    def _delete_below(self, number: int) -> None:
        for older in self._numbers()[0]:
            if older < number:
                self._client.delete_object(Bucket=self._bucket, Key=self._key(older))


class Writer:
    """This process's part in a lease, renewed by a thread until it ends."""

    def __init__(self, lease: DriverLease, driver: Driver, *, length: timedelta = LEASE) -> None:
        self._lease, self._driver, self._length = lease, driver, length
        self._name = uuid4().hex
        self._is_over, self._is_lost = threading.Event(), threading.Event()
        self._until = 0.0
        self._renew(is_renewal=False)
        self._thread = threading.Thread(target=self._keep, name="driver lease", daemon=True)
        self._thread.start()

    @property
    def driver(self) -> Driver:
        """The driver that is written through."""
        return self._driver

    def check(self) -> None:
        """Raise `LeaseLost` unless this process may write now."""
        if self._is_lost.is_set() or monotonic() > self._until:
            raise LeaseLost

    def end(self, *, is_idle: bool) -> None:
        """Renew no more. If the driver `is_idle`, another may write at once."""
        self._is_over.set()
        self._thread.join()
        if is_idle:
            self._lease.end(self._driver, self._name)

    def _keep(self) -> None:
        while not self._is_over.wait(self._length.total_seconds() / RENEWALS):
            try:
                self._renew()
            except (AnotherDriver, LeaseLost):
                self._is_lost.set()
                return
            except Exception:  # noqa: BLE001, S110 - tried again; `check` knows when time is up
                pass

    def _renew(self, *, is_renewal: bool = True) -> None:
        began = monotonic()  # before the store's time is asked
        self._lease.hold(self._driver, self._name, is_renewal=is_renewal)
        # the store's time has whole seconds
        self._until = began + self._length.total_seconds() - 1


def _status(error: Any) -> int:
    status: int = error.response["ResponseMetadata"]["HTTPStatusCode"]
    return status


def _text(lease: Lease) -> bytes:
    found = {
        **asdict(lease),
        "taken_at": lease.taken_at.isoformat(),
        "writers": {name: end.isoformat() for name, end in lease.writers.items()},
    }
    # the id tells a put that was repeated from another's of the same content
    return json.dumps({**found, "id": uuid4().hex}, indent=2).encode()


def _lease(text: bytes) -> Lease:
    found = json.loads(text)
    process = found["process"]
    return Lease(
        Driver(**found["driver"]),
        datetime.fromisoformat(found["taken_at"]),
        {name: datetime.fromisoformat(end) for name, end in found["writers"].items()},
        None if process is None else Owner(**process),
    )

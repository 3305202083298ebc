"""Reads the topics until told to stop, whatever is away or fails meanwhile.

Where reading begins is decided by the lake alone (`StreamSink.take_over`); offsets go to Kafka
after a batch is stored, for tools that show lag.
"""

import logging
from contextlib import suppress

from kafka.errors import KafkaError

from ingest_service.sources.kafka.consumer_parts import ConsumerParts, Reread
from ingest_service.sources.kafka.session import Session
from ingest_service.sources.kafka.sink import FencedError
from ingest_service.sources.kafka.status import WAITING
from ingest_service.sources.kafka.wait import StoppedError
from ingest_service.sources.kafka.worker import named
from lakehouse.errors import EtaError

_log = logging.getLogger(__name__)


class StreamConsumer:
    """Reads the topics until told to stop."""

    def __init__(self, parts: ConsumerParts, reread: frozenset[str] = frozenset()) -> None:
        self._parts = parts
        self._reread = Reread(reread)

    def run(self) -> None:
        """Consume; returns after `stop`, with everything that was gathered stored.

        While Kafka, the registry or the store is away it waits, and loses nothing; after an error
        that nobody foresaw it begins again where the lake ends. Raises `StreamHaltError` for what
        a person has to look at, and other `EtaError`s for what has to be set up first.
        """
        try:
            self._run()
        finally:
            self._parts.on_end()

    def _run(self) -> None:
        own = self._parts
        while not own.stop.is_set():
            try:
                Session(own, self._reread).run()
            except StoppedError:
                return
            except FencedError as error:
                _log.warning("%s; beginning anew", error.message)
                self._wait("fenced")
            except EtaError:
                raise
            except KafkaError as error:
                self._wait("broker", f"Kafka does not answer ({type(error).__name__})")
            except Exception as error:  # noqa: BLE001 - it must not stop all tenants
                kind, place = named(error)
                _log.error("%s at %s; beginning again", kind, place)
                self._wait("fault", f"{kind} at {place}; beginning again where the lake ends")

    def _wait(self, what: str, detail: str | None = None) -> None:
        own = self._parts
        try:
            own.metrics.retries.labels(what).inc()
            if detail is not None:
                own.status.set(WAITING, detail)
        except Exception as error:  # noqa: BLE001 - figures are not worth the loop
            _log.warning("the status could not be set: %s", type(error).__qualname__)
        with suppress(StoppedError):
            own.backoff.wait()

"""What the service may be told from outside; the only module of it that reads the environment.

Where the lake and the control database are is the library's (`lakehouse.settings.LakeSettings`).
"""

import ctypes
import gc
import os
import resource
import sys
from contextlib import suppress
from datetime import timedelta
from typing import Any, Final, Literal, Self

from pydantic import AliasChoices, Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

GIBIBYTE: Final = 1024**3
MEBIBYTE: Final = 1024**2
_M_ARENA_MAX: Final = -8  # of malloc.h
_ARENAS: Final = 4
_GC_THRESHOLD: Final = 50_000
_SWITCH_SECONDS: Final = 0.0005


class ServiceSettings(BaseSettings):
    """Settings of the service, each an environment variable `ETA_SERVICE_<NAME>`."""

    model_config = SettingsConfigDict(
        env_prefix="ETA_SERVICE_", extra="ignore", populate_by_name=True
    )

    max_upload_bytes: int = Field(default=4 * GIBIBYTE, gt=0)
    """Largest request body of an upload; a larger one is refused with 413."""
    max_unpacked_bytes: int = Field(default=4 * GIBIBYTE, gt=0)
    """Largest content of a gzip or zstd file; one that unpacks to more is refused with 413."""
    spool_bytes_per_tenant: int = Field(default=16 * GIBIBYTE, gt=0)
    """What a tenant's files may have on the disk of the spool folder, those of jobs that wait to be
    read included; beyond it 429."""
    parallel_uploads: int = Field(default=1, gt=0)
    """Files read at the same time per process; the others wait. Memory grows with it."""
    chunk_bytes: int = Field(default=4 * 1024 * 1024, ge=64 * 1024)
    """Bytes of a file in work at once."""
    dedupe_rows: int = Field(default=1_000_000, gt=0)
    """Newest events per tenant and data type that arriving rows are compared with, together with
    all of the batch that the oldest of them came with."""
    dedupe_total_rows: int = Field(default=2_000_000, gt=0)
    """The same over all tenants of a process; the least recently used tenants are dropped. What a
    large batch brought is on disk in the spool folder, 24 bytes per event, and counts an eighth."""
    row_issues_days: int = Field(
        default=30,
        gt=0,
        validation_alias=AliasChoices("ETA_SERVICE_ROW_ISSUES_DAYS", "ETA_SERVICE_FINDINGS_DAYS"),
    )
    """How long the complete errors and warnings of an upload can be asked for. Its earlier name,
    `…_FINDINGS_DAYS`, still counts where this one is not set."""
    max_event_bytes: int = Field(default=32 * 1024, gt=0)
    """Largest single event, as JSON; a request with a larger one is refused with 413."""
    max_batch_bytes: int = Field(default=5 * MEBIBYTE, gt=0)
    """Largest body of an events request, packed or unpacked; larger ones are refused with 413."""
    max_batch_events: int = Field(default=5_000, gt=0)
    """Most events of one request; more are refused with 413."""
    max_webhook_bytes: int = Field(default=MEBIBYTE, gt=0)
    """Largest webhook message; a larger one is refused with 413."""
    events_through: Literal["lake", "kafka"] = "lake"
    """Where events of the API and of webhooks are written: into the lake at once, or into the Kafka
    topics, from where `eta consume` writes them into the lake. Kafka is set by `ETA_STREAM_…`."""
    event_wait: float = Field(default=0.02, ge=0)
    """Seconds that an event waits for others to be committed with."""
    event_memory_bytes: int = Field(default=32 * MEBIBYTE, gt=0)
    """Bodies of events that are read or wait to be stored, per process; beyond it 503. A tenant
    may use half of it; when all is used, who has the most loses what is unfinished."""
    unverified_memory_bytes: int = Field(default=8 * MEBIBYTE, gt=0)
    """Webhook bodies whose signature is not checked yet, per process; beyond it 503. A source and
    client address may use half of it."""
    event_longest_wait: float = Field(default=5.0, gt=0)
    """Seconds after which a waiting event shows that the writer is behind: 503 for new ones."""
    parallel_commits: int = Field(default=2, gt=0)
    """Groups of events stored at the same time per process."""
    idempotent_answer_bytes: int = Field(default=256 * 1024, ge=1024)
    """Largest answer that is kept whole for an Idempotency-Key; of a larger one the counts are."""
    idempotent_total_bytes: int = Field(default=64 * MEBIBYTE, gt=0)
    """Answers kept for a tenant's keys; beyond it of every answer the counts alone."""
    idempotency_keys: int = Field(default=100_000, gt=0)
    """Most keys of a tenant; those older than a day make room for new ones, else 429."""
    header_seconds: float = Field(default=20, gt=0)
    """Time a client has for the head of a request; then its connection is closed."""
    body_seconds: float = Field(default=60, gt=0)
    """Time a client has for the body of an events or webhook request; then 408."""
    body_idle_seconds: float = Field(default=30, gt=0)
    """Time a client of any request may send next to nothing of its body; then 408 …"""
    body_rate: float = Field(default=1024, ge=0)
    """… unless these bytes per second came in that time."""
    upload_seconds: float = Field(default=4 * 3600, gt=0)
    """Time a client has for the body of an upload; then 408."""
    shutdown_seconds: float = Field(default=20, gt=0)
    """Time that requests have to end when the service is stopped: a body that is not complete after
    a quarter of it, or a file that is not read after half of it, is answered 503; what is left then
    is cut off. Nothing of either is stored."""
    max_header_bytes: int = Field(default=32 * 1024, ge=1024)
    """Largest head of a request; a larger one is refused with 400."""
    max_connections: int = Field(default=1_000, gt=0)
    """Connections per process. At the limit, one that waits for a request gives way, of the client
    that has the most; with requests on all of them a new connection is answered 503."""
    connections_per_client: int = Field(default=250, gt=0)
    """The same for the connections of one client address (IPv6: /64 network)."""
    trusted_proxies: str = "127.0.0.1,::1"
    """Addresses or networks, with commas, that many clients come from: they may have all
    connections, and their `X-Forwarded-For` says who the client is."""
    answer_idle_seconds: float = Field(default=60, gt=0)
    """Time a client may take nothing of its answer; then its connection is closed."""
    metrics_token: SecretStr | None = None
    """Bearer token for `GET /metrics`, which is closed without it. It opens nothing else."""
    operator_token: SecretStr | None = None
    """Bearer token of the operator for the quality of every tenant's data, on the dashboard."""
    docs: Literal["open", "closed"] = "open"
    """Whether `/docs` and `/openapi.json` show the API's description to anyone; closed, both are
    404. It holds no data."""
    recovery_grace: timedelta = timedelta(hours=1)
    """Age at which an unfinished batch of an unknown process is taken for dead."""
    ledger_check_every: timedelta = timedelta(minutes=10)
    """How often the ledger of the last two days is compared with the tables, for the metrics."""

    @field_validator("metrics_token", "operator_token")
    @classmethod
    def _no_empty_token(cls, token: SecretStr | None) -> SecretStr | None:
        """An empty token is none: a request without one would have it."""
        return token if token is not None and token.get_secret_value().strip() else None

    @model_validator(mode="after")
    def _tokens_differ(self) -> Self:
        """One token for both would open every tenant's reports to who scrapes the metrics."""
        if self.operator_token is not None and self.operator_token == self.metrics_token:
            raise ValueError(
                "ETA_SERVICE_OPERATOR_TOKEN and ETA_SERVICE_METRICS_TOKEN must differ: the token "
                "of the metrics opens no tenant's reports"
            )
        return self


def settle_process() -> None:
    """Prepare Python for a busy service; call it once everything is loaded.

    The libraries hold half a million objects that never go. Requests make containers fast enough
    that the garbage collector looked at all of them ten times a second: a third of the time. And a
    thread that commits comes back from native code a hundred times per group; each time it may wait
    for Python's lock for as long as a switch between threads takes, 5 ms unless told otherwise.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_GC_THRESHOLD, 20, 50)
    sys.setswitchinterval(_SWITCH_SECONDS)


def allow_open_files(wanted: int) -> None:
    """Let the process have so many files and connections open, as far as its hard limit goes.

    Many systems start a process with 1,024: at a thousand connections nothing could be opened.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


class StreamSettings(BaseSettings):
    """Settings of the Kafka consumer and producer, each a variable `ETA_STREAM_<NAME>`."""

    model_config = SettingsConfigDict(env_prefix="ETA_STREAM_", extra="ignore")

    bootstrap_servers: str | None = None
    """Kafka's addresses, `HOST:PORT,…`. Default: the broker of `eta dev kafka` in this home."""
    registry_url: str | None = None
    """The schema registry's. Default: the one of `eta dev registry` in this home, else none."""
    glue_registry: str | None = None
    """Name of a registry of AWS Glue, for messages in the frame of its serializers."""
    topic_prefix: str = ""
    """Before the names of topics and group, for several lakes on one cluster."""
    client_options: dict[str, Any] = Field(default_factory=dict, repr=False)
    """Options of kafka-python's clients (JSON), for TLS and SASL; never logged."""
    batch_seconds: float = Field(default=0.5, gt=0)
    """A micro-batch is stored when its first message has waited so long, …"""
    batch_rows: int = Field(default=20_000, gt=0)
    """… or at so many messages, …"""
    batch_bytes: int = Field(default=16 * MEBIBYTE, gt=0)
    """… or at so many bytes."""
    max_message_bytes: int = Field(default=4 * MEBIBYTE, gt=0)
    """A larger message goes to quarantine unread."""
    reject_share: float = Field(default=0.5, gt=0, le=1)
    """More rejects among a tenant's latest messages of a partition raise an alarm; 1: never."""
    reject_window: int = Field(default=1_000, gt=0)
    """How many of the tenant's latest messages that share is of, at least (at most twice it)."""
    session_timeout_ms: int = Field(default=10_000, ge=1_000)
    """Time after which Kafka gives a dead consumer's partitions to others."""
    backoff_seconds: float = Field(default=0.5, gt=0)
    """First pause when something is away; it doubles up to `backoff_most_seconds`."""
    backoff_most_seconds: float = Field(default=15.0, gt=0)
    """Longest pause between two attempts."""
    halted_retry_seconds: float = Field(default=60.0, gt=0)
    """How often a partition that stands still is tried again."""
    isolation_level: Literal["read_committed", "read_uncommitted"] = "read_committed"
    """Whether messages of aborted transactions are left out."""
    metrics_port: int | None = Field(default=None, ge=0, le=65535)
    """Port for Prometheus; none: no metrics are served."""
    metrics_host: str = "127.0.0.1"
    """Address that port is on. The page names no tenant and asks nobody who they are."""


def prepare_process() -> None:
    """Set what native libraries read when they are imported; call it before any of them.

    Several pieces of a file are validated side by side, so polars itself needs one thread: with
    two, memory was a tenth higher and nothing was faster. Freed memory is shared between threads
    and not kept by each: glibc would give every thread an arena of its own. With four the
    peak of five uploads was 563 to 577 MB instead of 607; with two 550 MB, but 3 % slower.
    """
    with suppress(OSError, AttributeError):  # another C library has no such setting
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, _ARENAS)
    os.environ.setdefault("POLARS_MAX_THREADS", "1")
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")

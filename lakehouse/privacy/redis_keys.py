"""People's keys in Redis: the embedding of a user stands under `{tenant}:embedding:{user}`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from lakehouse.errors import EtaError
from lakehouse.privacy.identifier_patterns import IdentifierPatterns

if TYPE_CHECKING:
    from redis import Redis

KEY: Final = "{tenant_id}:embedding:{user_id}"
AT_ONCE: Final = 500


def embedding_key(tenant_id: str, user_id: str) -> str:
    """Return the key of a user's embedding."""
    return KEY.format(tenant_id=tenant_id, user_id=user_id)


def with_keys(url: str | None, tenant_id: str, subjects: Iterable[str]) -> list[str]:
    """Return the users who have an embedding; none without a Redis."""
    found: list[str] = []
    with _connected(url) as redis:
        if redis is None:
            return found
        for part in _parts(subjects):
            pipeline = redis.pipeline(transaction=False)
            for subject in part:
                pipeline.exists(embedding_key(tenant_id, subject))
            held = pipeline.execute()
            found += [subject for subject, is_there in zip(part, held, strict=True) if is_there]
    return found


def delete_keys(url: str | None, tenant_id: str, subjects: Iterable[str]) -> int:
    """Delete the embeddings of users; return how many there were. 0 without a Redis."""
    with _connected(url) as redis:
        if redis is None:
            return 0
        keys = [embedding_key(tenant_id, subject) for subject in subjects]
        return sum(int(redis.unlink(*part)) for part in _parts(keys))


@dataclass(frozen=True, slots=True)
class KeysFound:
    """Keys by kind: those of people's embeddings, and others that mention somebody."""

    values: dict[str, int] = field(default_factory=dict)
    mentions: dict[str, int] = field(default_factory=dict)


def count_keys(url: str | None, tenant_id: str, patterns: IdentifierPatterns) -> KeysFound:
    """Return how many embeddings are people's, and how many other keys of the tenant mention one.

    Other keys are other programs': what becomes of them is theirs to decide.
    """
    with _connected(url) as redis:
        if redis is None:
            return KeysFound()
        keys = [embedding_key(tenant_id, subject) for subject in patterns.subjects]
        embeddings = sum(int(redis.exists(*part)) for part in _parts(keys))
        others = 0
        prefix = f"{tenant_id}:embedding:".encode()
        for part in _parts(redis.scan_iter(match=f"{tenant_id}:*", count=AT_ONCE)):
            names = [name for name in part if not name.startswith(prefix)]
            others += sum(_mentions(name, patterns) for name in names)
    return KeysFound(
        {"embeddings": embeddings} if embeddings else {},
        {"other keys of Redis": others} if others else {},
    )


def _mentions(name: bytes, patterns: IdentifierPatterns) -> bool:
    text = name.decode(errors="replace").split(":", 2)[-1]
    return text in patterns.texts or next(patterns.spans(name), None) is not None


def _parts(keys: Iterable[Any]) -> Iterator[list[Any]]:
    part: list[Any] = []
    for key in keys:
        part.append(key)
        if len(part) == AT_ONCE:
            yield part
            part = []
    if part:
        yield part


@contextmanager
def _connected(url: str | None) -> Iterator[Redis | None]:
    if url is None:
        yield None
        return
    from redis import Redis
    from redis.exceptions import RedisError

    redis = Redis.from_url(url, socket_timeout=30)
    try:
        yield redis
    except RedisError as error:
        raise EtaError(
            f"Redis does not answer ({type(error).__name__})",
            remedy="check that it runs and that ETA_REDIS_URL names it",
        ) from error
    finally:
        redis.close()

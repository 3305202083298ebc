"""A user's embedding out of Redis: float32 bytes or JSON, whatever wrote it; a pickle never.

Unpickling runs the code that a value names, so a pickle is told by its opcodes, which
`pickletools` reads without running them, and refused.
"""

from __future__ import annotations

import json
import math
import pickletools
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from lakehouse.contracts.tenant import check_tenant_id
from lakehouse.errors import EtaError

if TYPE_CHECKING:
    from lakehouse.settings import LakeSettings

TIMEOUT_SECONDS: Final = 5
_FLOAT_BYTES: Final = 4


class EmbeddingsAway(EtaError):
    """Redis does not answer."""


Format = Literal["none", "json", "float32", "refused"]


@dataclass(frozen=True, slots=True, repr=False)
class Embedding:
    """What stood under the key. `value` is JSON's; None unless it could be read."""

    format: Format
    value: Any = None
    problem: str | None = None


def embedding_key(tenant_id: str, user_id: str) -> str:
    """Return the key of a user's embedding."""
    return f"{check_tenant_id(tenant_id)}:embedding:{user_id}"


def read_embedding(settings: LakeSettings, tenant_id: str, user_id: str) -> Embedding:
    """Return a user's embedding; format `none` where there is none, or no Redis is set.

    Raises `EmbeddingsAway` when Redis does not answer: an export without it would look complete.
    """
    if settings.redis_url is None:
        return Embedding("none", problem="no Redis is set (ETA_REDIS_URL)")
    from redis import Redis
    from redis.exceptions import RedisError, ResponseError

    try:
        with Redis.from_url(
            settings.redis_url,
            socket_timeout=TIMEOUT_SECONDS,
            socket_connect_timeout=TIMEOUT_SECONDS,
        ) as client:
            found = client.get(embedding_key(tenant_id, user_id))
    except ResponseError:
        return Embedding("refused", problem="the key holds no string value")
    except (RedisError, ValueError) as error:
        raise EmbeddingsAway(
            f"the Redis of ETA_REDIS_URL does not answer ({type(error).__name__})",
            remedy="see that it runs and that ETA_REDIS_URL is right, then ask again",
        ) from None
    return Embedding("none") if found is None else decode_embedding(bytes(found))


def decode_embedding(raw: bytes) -> Embedding:
    """Read a value as JSON, else as little-endian float32 numbers; refuse everything else."""
    try:
        return Embedding(
            "json",
            json.loads(raw.decode(), parse_constant=_refuse_constant, parse_float=_finite),
        )
    except (ValueError, RecursionError):
        pass
    if _is_pickle(raw):
        return Embedding("refused", problem="it is a Python pickle, which is not read")
    if not raw or len(raw) % _FLOAT_BYTES:
        return Embedding("refused", problem="it is neither JSON nor float32 numbers")
    numbers = [value for (value,) in struct.iter_unpack("<f", raw)]
    if not all(map(math.isfinite, numbers)):
        return Embedding("refused", problem="it is neither JSON nor finite float32 numbers")
    return Embedding("float32", numbers)


def _refuse_constant(name: str) -> None:
    raise ValueError(name)


def _finite(text: str) -> float:
    if not math.isfinite(value := float(text)):  # 1e999 is a JSON number that no float holds
        raise ValueError(text)
    return value


def _is_pickle(raw: bytes) -> bool:
    """Whether the bytes are opcodes of a pickle from the first to the last; nothing is run."""
    end = -1
    try:
        for opcode, _, position in pickletools.genops(raw):
            end = position or 0 if opcode.name == "STOP" else end
    except Exception:  # noqa: BLE001 - it raises whatever its readers raise: then it is none
        return False
    return end == len(raw) - 1

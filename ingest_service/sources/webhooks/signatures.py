"""Whether a message is its source's own: Standard Webhooks, by the library of its authors.

The signature is of the body byte for byte as it was sent. A packed body is signed packed: nothing
of a message is unpacked or read before its sender is known.

The library checks the signature in constant time and that the time is within five minutes. Around
it: every secret of a rotation is tried, and whatever a header may hold is a refusal, no crash.
"""

import base64
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from standardwebhooks.webhooks import (
    EmptyWebhookSecretError,
    Webhook,
    WebhookVerificationError,
    hmac_data,
)

from lakehouse.errors import EtaError

ID: Final = "webhook-id"
TIMESTAMP: Final = "webhook-timestamp"
SIGNATURE: Final = "webhook-signature"

_ID: Final = re.compile(r"[!-~]{1,255}")
_TIMESTAMP: Final = re.compile(r"[0-9]{1,12}", re.ASCII)
_MAX_SIGNATURES: Final = 2_000
"""Characters of the signature header; one signature has 47."""


class BadSignatureError(EtaError):
    """A message that its source has not signed, or not now."""

    def __init__(self) -> None:
        super().__init__(
            "the message is not signed by its source, or not within the last five minutes",
            remedy="sign `id.timestamp.body` as Standard Webhooks has it, with the secret of this "
            "source and the present time; send the body byte for byte as it was signed",
        )


@dataclass(frozen=True, slots=True)
class Message:
    """Who a message says it is: its id, and when this attempt to send it was signed (Unix).

    `by_previous`: by another secret than the first one that was given.
    """

    message_id: str
    sent_at: int
    by_previous: bool = False


def verified(secrets: Sequence[str], headers: Mapping[str, str], body: bytes) -> Message:
    """Return the message that the headers name; raises `BadSignatureError`.

    Every secret is tried, so the time taken does not tell which one was right.
    """
    named = signed_headers(headers)
    is_good = [_is_good(secret, named, body) for secret in secrets]
    if not any(is_good):
        raise BadSignatureError
    return Message(named[ID], int(named[TIMESTAMP]), by_previous=not is_good[0])


def signed_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the three headers of a signed message; raises `BadSignatureError`.

    What they lack is told before a body is read.
    """
    named = {name: headers.get(name, "") for name in (ID, TIMESTAMP, SIGNATURE)}
    is_shaped = _ID.fullmatch(named[ID]) and _TIMESTAMP.fullmatch(named[TIMESTAMP])
    if not is_shaped or not 0 < len(named[SIGNATURE]) <= _MAX_SIGNATURES:
        raise BadSignatureError
    return named


class _BytesWebhook(Webhook):
    """The library's, for bodies that are no text: it takes them for UTF-8 otherwise."""

    def sign(self, msg_id: str, timestamp: datetime, data: str) -> str:
        """Sign bytes that were decoded as Latin-1, which keeps each of them."""
        start = f"{msg_id}.{int(timestamp.timestamp())}.".encode()
        signature = hmac_data(self._whsecret, start + data.encode("latin-1"))
        return f"v1,{base64.b64encode(signature).decode()}"


def _is_good(secret: str, headers: dict[str, str], body: bytes) -> bool:
    try:
        _BytesWebhook(secret).verify(body.decode("latin-1"), headers, json_parse=False)
    except (WebhookVerificationError, EmptyWebhookSecretError, ValueError):
        # A ValueError: a signature or a secret that is none (base64).
        return False
    return True

"""Whether a message is its source's own: Standard Webhooks, by the library of its authors.

The library checks the signature in constant time and that the time is within five minutes. Around
it: every secret of a rotation is tried, and whatever a header may hold is a refusal, no crash.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from standardwebhooks.webhooks import (
    EmptyWebhookSecretError,
    Webhook,
    WebhookVerificationError,
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
    message_id, timestamp = headers.get(ID, ""), headers.get(TIMESTAMP, "")
    signature = headers.get(SIGNATURE, "")
    is_shaped = _ID.fullmatch(message_id) and _TIMESTAMP.fullmatch(timestamp)
    if not is_shaped or not 0 < len(signature) <= _MAX_SIGNATURES:
        raise BadSignatureError
    named = {ID: message_id, TIMESTAMP: timestamp, SIGNATURE: signature}
    is_good = [_is_good(secret, named, body) for secret in secrets]
    if not any(is_good):
        raise BadSignatureError
    return Message(message_id, int(timestamp), by_previous=not is_good[0])


def _is_good(secret: str, headers: dict[str, str], body: bytes) -> bool:
    try:
        Webhook(secret).verify(body, headers, json_parse=False)
    except (WebhookVerificationError, EmptyWebhookSecretError, ValueError):
        # A ValueError: a signature, a secret or a body that is none (base64, UTF-8).
        return False
    return True

"""The certificate of an erasure: what was deleted and searched, and by whom it can be checked.

It holds counts, versions, times and the keyed hashes of the subjects, never an identifier. Who
knows an identifier and the tenant's key can tell that it is about that person; the signature
(HMAC-SHA256 with the same key) tells that nothing in it was changed.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any, Final

FORMAT: Final = 1
SIGNATURE: Final = "signature"


def signed(content: Mapping[str, Any], key: str) -> dict[str, Any]:
    """Return the content with its signature."""
    return {**content, SIGNATURE: _signature(content, key)}


def is_genuine(certificate: Mapping[str, Any], key: str) -> bool:
    """Whether a certificate is as it was signed with the tenant's key."""
    content = {name: value for name, value in certificate.items() if name != SIGNATURE}
    return hmac.compare_digest(str(certificate.get(SIGNATURE, "")), _signature(content, key))


def _signature(content: Mapping[str, Any], key: str) -> str:
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hmac.new(key.encode(), text.encode(), hashlib.sha256).hexdigest()

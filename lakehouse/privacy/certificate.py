"""The certificate of an erasure: what was deleted and searched, and by whom it can be checked.

It holds counts, versions, times and the keyed hashes of the subjects, never an identifier. Who
knows an identifier and the tenant's key can tell that it is about that person. The signature is
Ed25519 with the installation's key, so who has the public key alone can tell that nothing in it
was changed. Certificates of format 1 were signed with a secret of the control database
(HMAC-SHA256) and are checked with that.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from lakehouse.errors import EtaError
from lakehouse.privacy.signing import key_id, public_key_of

FORMAT: Final = 2
OLD_FORMAT: Final = 1
SIGNATURE: Final = "signature"
SIGNED_WITH: Final = "key_id"
_PURPOSE: Final = b"eta certificate of erasure, format 2\n"
"""Signed in front of the content, so that a signature of something else is never taken for one."""
_HEX: Final = re.compile(r"[0-9a-f]{128}")
_NAMES: Final = ("request_id", "tenant_id", "subjects", "completed_at", "table_versions")
"""What every certificate of this format has."""


class NotGenuineError(EtaError):
    """A certificate is not as it was signed, or not by this key."""

    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__(problem, remedy=remedy)


@dataclass(frozen=True, slots=True)
class Checked:
    """A certificate whose signature holds. `signed_by`: the key's id, None for a format 1."""

    content: Mapping[str, Any]
    signed_by: str | None


def signed(content: Mapping[str, Any], key: Ed25519PrivateKey) -> dict[str, Any]:
    """Return the content with its format, the id of the key and the signature."""
    full = {**content, "format": FORMAT, SIGNED_WITH: key_id(public_key_of(key))}
    return {**full, SIGNATURE: key.sign(_PURPOSE + _canonical(full)).hex()}


def rendered(certificate: Mapping[str, Any]) -> str:
    """Return the text of a certificate, as `eta privacy status --certificate` prints it."""
    return json.dumps(dict(certificate), indent=2)


def parsed(text: bytes) -> dict[str, Any]:
    """Return the certificate in a file; raises `NotGenuineError` when it holds none.

    The file has to be written in the usual way, by `eta` or by `jq`, to the byte: then no other
    text, such as one with a name that comes twice, stands for the same certificate.
    """
    try:
        written = text.decode()
        found = json.loads(written)
    except (ValueError, RecursionError):
        raise NotGenuineError(
            "the file is no JSON",
            "print the certificate again: `eta privacy status REQUEST --certificate`",
        ) from None
    if not isinstance(found, dict):
        raise NotGenuineError(
            "the file holds no certificate",
            "give the object that `eta privacy status REQUEST --certificate` prints",
        )
    if written.removesuffix("\n").removesuffix("\r") not in _renderings(found):
        raise NotGenuineError(
            "the file is not written as certificates are: something was added to it or changed",
            "print it again (`eta privacy status REQUEST --certificate`), or pass it to `jq .`",
        )
    return found


def check(
    certificate: Mapping[str, Any],
    key: Ed25519PublicKey | None,
    secret_of: Callable[[str], str | None] = lambda _: None,
) -> Checked:
    """Return the certificate if it is as it was signed; raises `NotGenuineError`.

    `key`: the public key that it must be signed with. `secret_of` returns a tenant's secret, with
    which certificates of format 1 were signed.
    """
    version = certificate.get("format")
    if version == OLD_FORMAT and not isinstance(version, bool):
        return _check_old(certificate, secret_of)
    if version != FORMAT or isinstance(version, (bool, float)):
        raise NotGenuineError(
            "the certificate is of a format that is not known here",
            f"this version reads the formats {OLD_FORMAT} and {FORMAT}",
        )
    if key is None:
        raise NotGenuineError(
            "there is no public key to check the certificate with",
            "name one with --public-key; `eta privacy public-key` prints it where it was signed",
        )
    if certificate.get(SIGNED_WITH) != key_id(key):
        raise NotGenuineError(
            f"the certificate was not signed with the key {key_id(key)}",
            "name the public key of the installation that signed it with --public-key",
        )
    if not _holds(certificate, key):
        raise NotGenuineError(
            "the signature does not fit: the certificate was changed, or it was never signed",
            "print it again where it was made: `eta privacy status REQUEST --certificate`",
        )
    return Checked(certificate, key_id(key))


def is_genuine(certificate: Mapping[str, Any], key: Ed25519PublicKey) -> bool:
    """Whether a certificate is as it was signed with the private half of this key."""
    try:
        check(certificate, key)
    except NotGenuineError:
        return False
    return True


def _holds(certificate: Mapping[str, Any], key: Ed25519PublicKey) -> bool:
    content = {name: value for name, value in certificate.items() if name != SIGNATURE}
    signature = certificate.get(SIGNATURE)
    if not isinstance(signature, str) or not _HEX.fullmatch(signature):
        return False
    if any(name not in content for name in _NAMES):
        return False
    try:
        key.verify(bytes.fromhex(signature), _PURPOSE + _canonical(content))
    except InvalidSignature:
        return False
    return True


def _check_old(certificate: Mapping[str, Any], secret_of: Callable[[str], str | None]) -> Checked:
    secret = secret_of(str(certificate.get("tenant_id")))
    if not secret:
        raise NotGenuineError(
            "a certificate of format 1 can be checked with the control database alone",
            "check it where the control database is (ETA_HOME, ETA_DATABASE_URL)",
        )
    content = {name: value for name, value in certificate.items() if name != SIGNATURE}
    signature = str(certificate.get(SIGNATURE, ""))
    expected = _old_signature(content, secret)
    if not hmac.compare_digest(signature.encode(errors="replace"), expected.encode()):
        raise NotGenuineError(
            "the signature does not fit: the certificate was changed, or it was never signed",
            "print it again where it was made: `eta privacy status REQUEST --certificate`",
        )
    return Checked(certificate, None)


def _canonical(content: Mapping[str, Any]) -> bytes:
    return json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def _renderings(found: Mapping[str, Any]) -> set[str]:
    try:
        return _spellings(found)
    except RecursionError:  # deeper than any certificate
        return set()


def _spellings(found: Mapping[str, Any]) -> set[str]:
    return {
        json.dumps(found, indent=indent, separators=separators, ensure_ascii=is_ascii)
        for indent, separators in ((2, None), (None, None), (None, (",", ":")))
        for is_ascii in (True, False)
    }


def _old_signature(content: Mapping[str, Any], secret: str) -> str:
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()

"""The key that certificates are signed with (Ed25519): one per installation.

It is made at its first use and kept in the home, readable by its owner alone; a deployment of
several machines names one file on all of them (`ETA_CERTIFICATE_KEY_FILE`). The public half may be
handed out: with it anybody can check a certificate, without this installation.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)

from lakehouse.errors import EtaError

if TYPE_CHECKING:
    from lakehouse.settings import LakeSettings

FOLDER: Final = "certificates"
NAME: Final = "signing_key.pem"


def signing_key(settings: LakeSettings) -> Ed25519PrivateKey:
    """Return the installation's key; makes it when the home has none.

    Of several processes that make it at once, all get the same. Raises `EtaError` for a file that
    holds no such key, and when `ETA_CERTIFICATE_KEY_FILE` names one that is not there.
    """
    path = settings.certificate_key_file or _in_home(settings.home_dir)
    if settings.certificate_key_file is None and not path.exists():
        _make(path)
    try:
        found = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except OSError as error:
        raise EtaError(
            f"the key of the certificates, {path}, cannot be read ({error.strerror})",
            remedy="name a readable file with ETA_CERTIFICATE_KEY_FILE",
        ) from None
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise _no_key(path) from None
    if not isinstance(found, Ed25519PrivateKey):
        raise _no_key(path)
    return found


def known_public_key(settings: LakeSettings) -> Ed25519PublicKey | None:
    """Return the public half of the installation's key, None where it has signed nothing yet."""
    if settings.certificate_key_file is None and not _in_home(settings.home_dir).exists():
        return None
    return public_key_of(signing_key(settings))


def public_key_of(key: Ed25519PrivateKey) -> Ed25519PublicKey:
    """Return the public half of a key."""
    return key.public_key()


def public_pem(key: Ed25519PublicKey) -> str:
    """Return a public key as text (PEM), as `eta privacy public-key` prints it."""
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_bytes(serialization.Encoding.PEM, form).decode()


def read_public_key(path: Path) -> Ed25519PublicKey:
    """Return the public key in a PEM file; raises `EtaError` for one that holds none."""
    try:
        found = serialization.load_pem_public_key(path.read_bytes())
    except (ValueError, TypeError, UnsupportedAlgorithm):
        found = None
    if not isinstance(found, Ed25519PublicKey):
        raise EtaError(
            f"{path} holds no public key of Ed25519",
            remedy="give the text that `eta privacy public-key` prints",
        )
    return found


def key_id(key: Ed25519PublicKey) -> str:
    """Return the short name of a key: the beginning of the SHA-256 of its 32 bytes, in hex."""
    raw = key.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    return hashlib.sha256(raw).hexdigest()[:32]


def _in_home(home: Path) -> Path:
    return home / FOLDER / NAME


def _make(path: Path) -> None:
    """Make a key, whole or not at all; the one of another process that was faster stays."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    text = Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    partial = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    try:
        with suppress(FileExistsError):
            os.link(partial, path)
    finally:
        partial.unlink()
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _no_key(path: Path) -> EtaError:
    return EtaError(
        f"{path} holds no private key of Ed25519 (PEM, PKCS #8, without a password)",
        remedy="make one with `openssl genpkey -algorithm ed25519 -out FILE`",
    )

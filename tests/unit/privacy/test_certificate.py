"""A certificate: believed as it was signed and by its key alone, also without the lake."""

import json
import shutil
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner, Result

from lakehouse.cli.main import app
from lakehouse.errors import EtaError
from lakehouse.privacy.certificate import (
    SIGNATURE,
    NotGenuineError,
    _old_signature,
    check,
    is_genuine,
    parsed,
    rendered,
    signed,
)
from lakehouse.privacy.signing import known_public_key, public_key_of, public_pem, signing_key
from lakehouse.settings import LakeSettings
from tests.support.erasure import TENANT, ErasableLake, interactions, person

KEY = Ed25519PrivateKey.generate()
CONTENT = {
    "request_id": "er_1",
    "tenant_id": TENANT,
    "completed_at": "2026-11-28T10:00:00+00:00",
    "subjects": ["ab" * 32, "cd" * 32],
    "rows_deleted": {"raw.interactions": 9, "raw.quarantine": 0},
    "table_versions": {"raw.interactions": 4},
    "mentions": [{"place": "raw.items", "count": 1, "policy": "keep", "url": "https://x/\u00e9"}],
}
TEXT = rendered(signed(CONTENT, KEY)).encode()


def verdict(text: bytes, key: Ed25519PrivateKey = KEY) -> bool:
    try:
        check(parsed(text), public_key_of(key))
    except NotGenuineError:
        return False
    return True


def test_a_certificate_is_believed_as_it_is_printed_also_by_other_programs() -> None:
    found = signed(CONTENT, KEY)
    for text in (
        TEXT,
        TEXT + b"\n",
        TEXT + b"\r\n",
        json.dumps(found).encode(),
        json.dumps(found, separators=(",", ":")).encode(),
        json.dumps(found, indent=2, ensure_ascii=False).encode(),
        json.dumps(dict(sorted(found.items())), indent=2).encode(),
    ):
        assert verdict(text), text


def test_each_changed_byte_is_refused() -> None:
    for place in range(len(TEXT)):
        for bit in (1, 0x20):
            changed = bytearray(TEXT)
            changed[place] ^= bit
            assert not verdict(bytes(changed)), (place, bit)


@settings(max_examples=300)
@given(st.integers(0, len(TEXT)), st.integers(0, len(TEXT)), st.binary(max_size=12))
def test_each_other_text_is_refused(start: int, end: int, instead: bytes) -> None:
    changed = TEXT[: min(start, end)] + instead + TEXT[max(start, end) :]
    assert verdict(changed) == (changed.removesuffix(b"\n").removesuffix(b"\r") == TEXT)


def test_a_field_more_or_less_and_another_key_are_refused() -> None:
    found = signed(CONTENT, KEY)
    other = Ed25519PrivateKey.generate()
    assert not verdict(TEXT, other)
    for name in found:
        assert not verdict(rendered({n: v for n, v in found.items() if n != name}).encode()), name
    assert not verdict(rendered({**found, "note": None}).encode())
    assert not is_genuine({**found, "key_id": signed(CONTENT, other)["key_id"]}, public_key_of(KEY))
    assert not verdict(TEXT.replace(b"{", b'{"request_id": "er_2", ', 1))
    deep = b'{"a": ' + b"[" * 900 + b"]" * 900 + b"}"
    for text in (b"", b"[]", b"null", b"[" * 100_000, deep, b"\xff\xfe", b"1e999", b"9" * 5_000):
        assert not verdict(text)


def test_a_format_1_is_checked_with_the_tenants_secret() -> None:
    old = {**CONTENT, "format": 1}
    old[SIGNATURE] = _old_signature(old, "secret")
    assert check(old, None, lambda _: "secret").signed_by is None
    for changed, secret in (
        (old, "other"),
        (old, None),
        ({**old, "subjects": []}, "secret"),
        ({**old, "format": 2}, "secret"),
        ({**old, "format": True}, "secret"),
    ):
        with pytest.raises(NotGenuineError):
            check(changed, public_key_of(KEY), lambda _, secret=secret: secret)


def test_the_key_is_made_once_and_is_the_owners_alone(tmp_path: Path) -> None:
    here = LakeSettings(home=tmp_path / "home", project_dir=tmp_path)
    assert known_public_key(here) is None
    with ThreadPoolExecutor(8) as pool:
        keys = list(pool.map(lambda _: signing_key(here).private_bytes_raw(), range(16)))
    assert len(set(keys)) == 1
    [file] = (tmp_path / "home" / "certificates").iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    elsewhere = here.model_copy(update={"certificate_key_file": tmp_path / "none.pem"})
    with pytest.raises(EtaError, match="cannot be read"):
        signing_key(elsewhere)
    (tmp_path / "none.pem").write_text(public_pem(public_key_of(KEY)))
    with pytest.raises(EtaError, match="no private key"):
        signing_key(elsewhere)


@pytest.fixture
def lake(commanded: ErasableLake) -> ErasableLake:
    return commanded


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["privacy", *map(str, arguments)])


def test_the_command_checks_signature_lake_list_and_people(
    lake: ErasableLake, tmp_path: Path
) -> None:
    gone, other = person(), person()
    lake.fill(gone, [other])
    request = lake.erase(gone)
    lake.work()
    text = run("status", request, "--certificate").output
    held = tmp_path / "certificate.json"
    held.write_text(text)
    public = tmp_path / "public.pem"
    printed = run("public-key")
    public.write_text(printed.stdout)
    assert gone not in text
    people = tmp_path / "ids.txt"
    people.write_text(f"user_id\n{gone} \n")

    fine = run("check-certificate", held, "--public-key", public, "--ids", people)
    assert fine.exit_code == 0, fine.output
    assert "audit log is unbroken" in " ".join(fine.output.split())
    assert run("verify", "--tenant", TENANT, "--request", request).exit_code == 0

    held.write_text(text.replace('"found": 0', '"found": 1'))
    refused = run("check-certificate", held)
    assert (refused.exit_code, "signature does not fit" in refused.output) == (1, True)
    held.write_text(text)

    people.write_text(f"{gone}\n{other}\n")
    found = run("check-certificate", held, "--ids", people)
    assert found.exit_code == 3, found.output
    assert "1 of the ids are of people" in found.output
    assert "were found" not in found.output  # the one that is there is the other

    lake.database.erasures.lift(TENANT, [gone], by="test")
    lake.upload(interactions([(gone, 77)]))
    there = run("check-certificate", held, "--ids", people)
    assert "people of the certificate were found" in " ".join(there.output.split())
    people.write_text(f"{other}\n")
    strange = run("check-certificate", held, "--ids", people)
    assert ("were found" in strange.output, strange.exit_code) == (False, 3)

    lifted = run("check-certificate", held)
    assert (lifted.exit_code, "1 of 1 people are not on" in lifted.output) == (3, True)


def test_an_older_lake_or_none_is_said(lake: ErasableLake, tmp_path: Path) -> None:
    gone = person()
    lake.fill(gone, [person()])
    request = lake.erase(gone)
    lake.work()
    content = dict(lake.database.erasures.get(request).certificate or {})
    content["table_versions"] = {**content["table_versions"], "raw.interactions": 10_000, "x.y": 1}
    held = tmp_path / "certificate.json"
    key = signing_key(lake.settings)
    for name in ("signature", "key_id"):
        content.pop(name)
    held.write_text(rendered(signed(content, key)))
    older = run("check-certificate", held)
    assert older.exit_code == 3
    assert "certificate at 10,000: an older state" in " ".join(older.output.split())
    assert "x.y is not there" in " ".join(older.output.split())

    public = tmp_path / "public.pem"
    public.write_text(run("public-key").stdout)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ETA_HOME", str(tmp_path / "nothing here"))
        alone = run("check-certificate", held, "--public-key", public)
        assert (alone.exit_code, "only the signature" in alone.output) == (0, True)
        assert run("check-certificate", held).exit_code == 1  # no key to check it with


def test_a_lake_that_was_restored_and_written_to_since_is_said(
    lake: ErasableLake, tmp_path: Path
) -> None:
    gone = person()
    lake.fill(gone, [person()])
    backup = tmp_path / "backup"
    shutil.copytree(lake.settings.lake, backup)
    request = lake.erase(gone)
    lake.work()
    certificate = lake.database.erasures.get(request).certificate
    assert certificate is not None
    held = tmp_path / "certificate.json"
    held.write_text(rendered(certificate))
    assert run("check-certificate", held).exit_code == 0

    shutil.rmtree(lake.settings.lake)
    shutil.copytree(backup, lake.settings.lake)
    for number in range(12):
        lake.upload(interactions([(person(), number)]))
    said = run("check-certificate", held)
    assert said.exit_code == 3, said.output
    assert "of raw.interactions is another one" in " ".join(said.output.split())

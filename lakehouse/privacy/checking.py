"""Checks a genuine certificate against the lake and the control database as they are now."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from deltalake.exceptions import DeltaError

from lakehouse.contracts.tenant import check_tenant_id
from lakehouse.control.erasures import ERASED
from lakehouse.control.suppressions import subject_hash
from lakehouse.privacy.derived import commit_hashes
from lakehouse.privacy.id_files import Identifier, forms, resolved
from lakehouse.privacy.mapping_history import MappingHistory
from lakehouse.privacy.readers import Readers
from lakehouse.privacy.suppression import Suppressed
from lakehouse.privacy.unreferenced import UnreferencedFiles, people_in_unreferenced_files
from lakehouse.storage.lake import Lake

if TYPE_CHECKING:
    from lakehouse.control.database import ControlDatabase


def tables_against(lake: Lake, certificate: Mapping[str, Any]) -> list[str]:
    """Return what is wrong with the lake's tables: gone, older, or of another history.

    A lake that was restored and written to since has versions as high as the certificate's, but
    not its commits.
    """
    wrong = []
    certified = certificate.get("table_commits", {})
    commits = commit_hashes(lake, certificate["table_versions"])
    for name, version in certificate["table_versions"].items():
        try:
            held = lake.table(str(name)).version()
        except (DeltaError, OSError):
            wrong.append(f"{name} is not there, or cannot be read")
            continue
        if held < version:
            wrong.append(
                f"{name} is at version {held:,}, the certificate at {version:,}: an older state "
                "was restored (`eta privacy reapply`)"
            )
        elif name in commits.keys() & certified.keys() and commits[name] != certified[name]:
            wrong.append(
                f"version {version:,} of {name} is another one than that of the certificate: the "
                "table was replaced, or an older state was restored (`eta privacy reapply`)"
            )
    return wrong


def tables_without_commit(lake: Lake, certificate: Mapping[str, Any]) -> int:
    """Return of how many tables only the version number can be compared: the log was cleaned."""
    commits = commit_hashes(lake, certificate["table_versions"])
    certified = certificate.get("table_commits", {})
    return len(certificate["table_versions"]) - len(commits.keys() & certified.keys())


def unreferenced_files_of(
    lake: Lake, database: ControlDatabase, certificate: Mapping[str, Any]
) -> UnreferencedFiles:
    """Look for the certificate's people in data files that no current version of a table names.

    Such files are there when a backup was copied over the lake: no table shows their rows.
    """
    tenant_id = check_tenant_id(str(certificate["tenant_id"]))
    people = Suppressed(
        0,
        database.suppressed(tenant_id).key,
        frozenset(map(str, certificate["subjects"])),
        frozenset(map(str, certificate.get("tied_ids", ()))),
    )
    readers = Readers(MappingHistory.read(database, tenant_id))
    return people_in_unreferenced_files(lake, tenant_id, people, readers)


def list_against(database: ControlDatabase, certificate: Mapping[str, Any]) -> list[str]:
    """Return what is wrong with the suppression list and the audit log."""
    wrong = []
    tenant_id = check_tenant_id(str(certificate["tenant_id"]))
    listed = database.suppressed(tenant_id).subjects
    gone = [one for one in certificate["subjects"] if one not in listed]
    if gone:
        wrong.append(
            f"{len(gone):,} of {len(certificate['subjects']):,} people are not on the suppression "
            "list any more: what comes of them is stored (lifted, or an older state was restored)"
        )
    broken = database.audit.first_broken(until=str(certificate["audit_head"]))
    if broken is not None:
        wrong.append(
            f"the audit log is broken at entry {broken}"
            if broken
            else "the audit log does not have the entry that the certificate names"
        )
    own = {"signature": certificate["signature"]}
    if not database.audit.has(ERASED, tenant_id, str(certificate["request_id"]), own):
        wrong.append(
            "the audit log does not have the entry of this certificate: its end is missing, or an "
            "older state was restored"
        )
    return wrong


def as_certified(
    database: ControlDatabase, certificate: Mapping[str, Any], identifiers: Sequence[Identifier]
) -> list[str]:
    """Return identifiers of a file as the certificate has them: with white space or without."""
    key = database.suppressed(check_tenant_id(str(certificate["tenant_id"]))).key
    named = {*certificate["subjects"]}
    known = {text for text in forms(identifiers) if subject_hash(key, text) in named}
    return [one.text for one in resolved(identifiers, known)]


def those_named(
    database: ControlDatabase, certificate: Mapping[str, Any], identifiers: Iterable[str]
) -> list[str]:
    """Return those of the identifiers that the certificate is about."""
    key = database.suppressed(check_tenant_id(str(certificate["tenant_id"]))).key
    named = {*certificate["subjects"]}
    return [one for one in dict.fromkeys(identifiers) if subject_hash(key, one) in named]


def mapped_subjects(
    database: ControlDatabase, certificate: Mapping[str, Any], identifiers: Iterable[str]
) -> list[str]:
    """Return what mappings store identifiers as, where the certificate is about that as well."""
    tenant_id = check_tenant_id(str(certificate["tenant_id"]))
    key, named = database.suppressed(tenant_id).key, {*certificate["subjects"]}
    others = MappingHistory.read(database, tenant_id).stored_as(frozenset(identifiers))
    return sorted(one for one in others if subject_hash(key, one) in named)

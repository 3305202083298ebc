"""Identifiers of the commands of `eta privacy`: from the command line, and from files."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO

from deltalake.exceptions import DeltaError

from lakehouse.cli.control import lake_settings
from lakehouse.cli.output import note
from lakehouse.control.database import ControlDatabase
from lakehouse.control.suppressions import subject_hash
from lakehouse.control.tenants import SettingsHistoryLost
from lakehouse.errors import EtaError
from lakehouse.privacy.id_files import Identifier, IdFile, forms, read_ids, resolved
from lakehouse.privacy.known import asked_for
from lakehouse.privacy.mapping_history import MappingHistory
from lakehouse.storage.lake import Lake
from lakehouse.storage.whole_files import whole_file


def given(user: list[str] | None, file: Path | None) -> IdFile:
    """The identifiers, those of the file first."""
    read = IdFile(()) if file is None else read_ids(file)
    named = tuple(Identifier(one) for one in user or ())
    return IdFile((*read.identifiers, *named), read.heading, read.is_json, read.notes)


def looked_up(
    database: ControlDatabase, tenant: str, read: IdFile, *, is_wanted: bool
) -> tuple[Sequence[Identifier], frozenset[str] | None]:
    """The identifiers to take, and those that are stored: None when the lake cannot be read.

    People are suppressed all the same, unless the list of the unknown ones `is_wanted`.
    """
    try:
        history = MappingHistory.read(database, tenant)
        return asked_for(Lake(lake_settings()), tenant, read.identifiers, history)
    except (DeltaError, OSError, SettingsHistoryLost) as error:
        if is_wanted:
            raise EtaError(
                f"the tables could not be read ({type(error).__name__}), so nobody knows which ids "
                "match nothing; no request was made",
                remedy="`eta ledger check` finds the damage; without --unknown the request is made",
            ) from error
        note("Warning: the tables could not be read: which ids match nothing is not known.")
        return read.identifiers, None


def with_mapped(database: ControlDatabase, tenant: str, texts: Sequence[str]) -> list[str]:
    """Identifiers, and what the tenant's mappings store them as: an erasure takes both."""
    others = MappingHistory.read(database, tenant).stored_as(texts)
    if others:
        note(
            f"{len(others):,} more ids count as well: mappings store ids given here as those "
            "(`values`)."
        )
    return [*texts, *sorted(others)]


def note_mapped(database: ControlDatabase, tenant: str, texts: Sequence[str]) -> None:
    """Say what an erasure makes of identifiers that a mapping translates (`values`)."""
    try:
        history = MappingHistory.read(database, tenant)
    except SettingsHistoryLost as error:
        note(f"Warning: {error.message}. The request waits for it.")
        return
    others = history.stored_as(texts)
    if others:
        note(
            f"Warning: mappings store ids of the request as {len(others):,} other ids (`values`), "
            "which are erased as well."
        )
    if history.sent_as([*texts, *others]):
        note(
            "Mappings store other ids as ids of the request (`values`). Rows that are stored under "
            "those other ids stay; how many have some is in the certificate (`mapped_ids`)."
        )


def listed_or_as_read(database: ControlDatabase, tenant: str, read: IdFile) -> list[str]:
    """The identifiers as an erasure took them: with white space where that is on the list."""
    listed = database.suppressed(tenant)
    known = {
        text
        for text in forms(read.identifiers)
        if subject_hash(listed.key, text) in listed.subjects
    }
    for remark in read.remarks:
        note(f"{remark[0].upper()}{remark[1:]}.")
    return [one.text for one in resolved(read.identifiers, known)]


@contextmanager
def new_file(path: Path | None) -> Iterator[IO[str] | None]:
    """A new file that its owner alone may read; it appears whole after the block, or not at all.

    It is opened before the block, so that what cannot be written is said before anything is done.
    """
    if path is None:
        yield None
        return
    if path.exists():
        raise EtaError(f"{path} is there already", remedy="name another file")
    with ExitStack() as stack:
        try:
            partial = stack.enter_context(whole_file(path, mode=0o600, sync=True))
        except OSError as error:
            raise EtaError(
                f"{path} cannot be written ({error.strerror})", remedy="name another file"
            ) from None
        with partial.open("w", encoding="utf-8") as file:
            yield file

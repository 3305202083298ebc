"""What `eta run` finds out before it starts anything: lock, files, headers, mappings."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from lakehouse.cli.end_to_end import FileToSend, TenantFiles
from lakehouse.cli.inspecting import FileToLookAt, LookedAtError, look_at
from lakehouse.cli.output import note, print_rows
from lakehouse.cli.proposing import ask, how_to_propose
from lakehouse.cli.uploading import UploadOptions
from lakehouse.contracts.kinds import DataType, OnError
from lakehouse.contracts.tenant import TenantSettings
from lakehouse.control.database import RunLocked
from lakehouse.control.opening import existing_database
from lakehouse.errors import EtaError
from lakehouse.settings import LakeSettings

ITEMS_MAPPING: Final = "items"
USERS_MAPPING: Final = "users"
CONTRACT: Final = "contract"
CHECKED_BYTES: Final = 256 * 1024
_WITHOUT_ROWS: Final = ("empty_file", "no_rows")


@dataclass(frozen=True, slots=True)
class RunOrder:
    """What a person wants to be taken in; `settings` replace those that the tenant has."""

    tenant_id: str
    interactions: Sequence[Path]
    items: Sequence[Path]
    users: Sequence[Path] = ()
    settings: TenantSettings | None = None
    mapping: str | None = None
    items_mapping: str | None = None
    on_error: OnError = OnError.REJECT
    encoding: str | None = None
    delimiter: str | None = None


@dataclass(frozen=True, slots=True)
class _Part:
    """Files of one data type and how they are read; without a mapping by the contract's names."""

    data_type: DataType
    files: Sequence[Path]
    mapping: str | None
    encoding: str | None = None
    delimiter: str | None = None

    def with_files(self, files: Sequence[Path]) -> "_Part":
        return replace(self, files=files)


def checked_files(lake: LakeSettings, order: RunOrder) -> TenantFiles:
    """Return what is to be uploaded, the catalogue first; nothing was started or changed yet.

    Raises `RunLocked` while another run writes the models, and `EtaError` for files that would be
    refused: by their header, or by their first rows when wrong rows refuse a file. Files without
    rows are told and left out when there are others. Asks on a terminal when a mapping is missing.
    """
    if not order.interactions:
        raise EtaError(
            "no file of interactions is named", remedy="eta run FILE --tenant TENANT; see --help"
        )
    _ = lake.project  # the models, without which nothing can be built
    stored = _settings_before(lake, order.tenant_id)
    settings = order.settings or stored
    parts, has_changed = [], order.settings is not None
    for part in _parts(order, settings):
        checked, settings_then = _check(order, part, settings)
        has_changed |= settings_then is not settings
        settings = settings_then
        parts.append(checked)
    return TenantFiles(
        order.tenant_id,
        tuple(
            FileToSend(
                part.data_type,
                file,
                UploadOptions(
                    part.mapping,
                    order.on_error,
                    encoding=part.encoding,
                    delimiter=part.delimiter,
                ),
            )
            for part in parts
            for file in part.files
        ),
        settings=settings if has_changed else None,
    )


def _settings_before(lake: LakeSettings, tenant_id: str) -> TenantSettings:
    """Return the settings that a tenant has, the defaults for a new one; raises `RunLocked`."""
    with existing_database(lake) as database:
        if database is None:
            return TenantSettings()
        holder = database.run_lock.holder()
        if holder is not None:
            raise RunLocked(holder)
        if not database.tenants.exists(tenant_id):
            return TenantSettings()
        return database.tenant_settings(tenant_id)


def _parts(order: RunOrder, settings: TenantSettings) -> list[_Part]:
    files = order.interactions
    mapping = order.mapping or ("default" if "default" in settings.sources else None)
    how = (order.encoding, order.delimiter)
    parts = [_Part(DataType.INTERACTIONS, files, mapping, *how)]
    items_mapping = order.items_mapping
    if items_mapping is None and ITEMS_MAPPING in settings.sources:
        items_mapping = ITEMS_MAPPING
    if items_mapping is None and DataType.ITEMS in settings.source(None).data_types:
        items_mapping = "default"
    if order.items:
        parts.insert(0, _Part(DataType.ITEMS, order.items, items_mapping))
    elif order.items_mapping is not None:
        parts.insert(0, _Part(DataType.ITEMS, files, items_mapping, *how))
    if order.users:
        users_mapping = USERS_MAPPING if USERS_MAPPING in settings.sources else None
        parts.insert(0, _Part(DataType.USERS, order.users, users_mapping))
    for part in parts:
        if part.mapping is not None:
            settings.source(part.mapping)  # one that the tenant lacks is said before anything else
    return parts


def _check(
    order: RunOrder, part: _Part, settings: TenantSettings
) -> tuple[_Part, "TenantSettings"]:
    """Return the files that have rows, how to read them, and the settings with that in them."""
    found = _look(part, settings, part.mapping or CONTRACT)
    if part.mapping is None and all(_reads_nothing(answer) for answer in found.values()):
        settings = _proposed(order, part, settings)
        name = "default" if part.data_type is DataType.INTERACTIONS else part.data_type.value
        part = replace(part, mapping=name)
        found = _look(part, settings, name)
    for file, answer in found.items():
        _refuse_wrong(order, part, file, answer)
    return part.with_files(list(found)), settings


def _look(part: _Part, settings: TenantSettings, mapping: str) -> dict[Path, dict[str, Any]]:
    """Return what is found at the start of each file that has rows."""
    answers = look_at(
        [FileToLookAt(file, part.data_type, mapping) for file in part.files],
        settings,
        encoding=part.encoding,
        delimiter=part.delimiter,
        looked_at=CHECKED_BYTES,
    )
    found: dict[Path, dict[str, Any]] = {}
    empty: list[LookedAtError] = []
    for file, answer in zip(part.files, answers, strict=True):
        if isinstance(answer, LookedAtError):
            if answer.fault not in _WITHOUT_ROWS:
                raise answer
            empty.append(answer)
        elif {reason["code"] for reason in answer["reasons"]} & set(_WITHOUT_ROWS):
            remedy = "send a file with a header and at least one row"
            nothing = {"error": "it has no rows", "remedy": remedy, "code": "no_rows"}
            empty.append(LookedAtError(file, nothing))
        else:
            found[file] = answer
    if not found:
        raise empty[0]
    for error in empty:
        note(f"{error.message}: left out")
    return found


def _reads_nothing(answer: dict[str, Any]) -> bool:
    return not answer["counts"]["would_store"] and bool(answer["reasons"])


def _refuse_wrong(order: RunOrder, part: _Part, file: Path, answer: dict[str, Any]) -> None:
    counts = answer["counts"]
    if not counts["would_reject"]:
        return
    if order.on_error is OnError.QUARANTINE and not _reads_nothing(answer):
        return
    print_rows(
        ("wrong", "rows", "first line", "why"),
        [(one["code"], one["count"], one["example_line"], one["message"])
         for one in answer["reasons"]],
    )  # fmt: skip
    remedy = f"eta inspect {file} --type {part.data_type}; correct the file or its mapping"
    if order.on_error is OnError.REJECT and counts["would_store"]:
        remedy += "; or store the good rows with --on-error quarantine"
    raise EtaError(
        f"{file}: {counts['would_reject']:,} of the first {counts['looked_at']:,} rows are wrong; "
        "nothing was stored",
        remedy=remedy,
    )


def _proposed(order: RunOrder, part: _Part, settings: TenantSettings) -> TenantSettings:
    """Return the settings with a mapping that a person on a terminal has agreed to."""
    file = part.files[0]
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise EtaError(
            f"{file} is not as the contract has it, and the tenant has no source mapping for it",
            remedy=how_to_propose(file, part.data_type, order.tenant_id),
        )
    (answer,) = look_at(
        [FileToLookAt(file, part.data_type)],
        settings,
        encoding=part.encoding,
        delimiter=part.delimiter,
    )
    if isinstance(answer, LookedAtError):
        raise answer
    return ask(file, part.data_type, order.tenant_id, answer, settings)

"""Where snapshots are kept: a manifest file each, and one pointer per tenant to the current one.

`{lake}/{folder}/{tenant}/{snapshot_id}.json` is written once and never changed; `current.json`
beside it changes in one atomic step, after the manifest is durable. A reader follows the pointer
and so sees the old snapshot or the new one. Killed in between, a manifest is left that is listed
and was never current; the next run publishes again.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final, Generic, Literal, TypeVar

from pydantic import ValidationError

from lakehouse.contracts.tenant import check_tenant_id
from lakehouse.errors import EtaError
from lakehouse.storage.lake import Lake
from lakehouse.storage.layout import check_layout
from lakehouse.storage.objects import ObjectFolder
from lakehouse.training.manifest import EvaluationManifest, Manifest

M = TypeVar("M", bound=Manifest)

_POINTER: Final = "current.json"
_CARDS: Final = "cards"
_SNAPSHOT_ID: Final = re.compile(r"\d{8}T\d{9}Z-[0-9a-f]{8}")


class UnknownSnapshotError(EtaError):
    """A tenant has no snapshot of an id."""


class DamagedSnapshotError(EtaError):
    """What is kept of a snapshot was cut, changed or moved: it is there, and cannot be read."""


class Snapshots(Generic[M]):
    """The snapshots of one kind, in one folder of the lake.

    `made_by` and `listed_by` are the commands that errors name.
    """

    def __init__(self, folder: str, manifest: type[M], *, made_by: str, listed_by: str) -> None:
        self.folder = folder
        self._manifest = manifest
        self._made_by = made_by
        self._listed_by = listed_by

    def publish(
        self,
        lake: Lake,
        candidate: M,
        is_same: Callable[[M, M], bool] = lambda held, candidate: held.has_content_of(candidate),
    ) -> M:
        """Publish a candidate, unless it is the same as the current snapshot: then return that.

        Raises `EtaError` in a lake of another layout than this version writes.
        """
        check_layout(lake)
        current = self.current(lake, candidate.tenant_id)
        if current is not None and is_same(current, candidate):
            return current
        folder = self._folder(lake, candidate.tenant_id)
        folder.write(f"{candidate.snapshot_id}.json", to_json(candidate))
        pointer = {"snapshot_id": candidate.snapshot_id}
        folder.write(_POINTER, f"{json.dumps(pointer)}\n".encode())
        return candidate

    def current(self, lake: Lake, tenant_id: str) -> M | None:
        """Return the tenant's current snapshot, None before the first."""
        pointer = self._folder(lake, tenant_id).read(_POINTER)
        if pointer is None:
            return None
        try:
            snapshot_id = str(json.loads(pointer)["snapshot_id"])
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise _unreadable(f"{self.folder}/{tenant_id}/{_POINTER}") from error
        try:
            return self.read(lake, tenant_id, snapshot_id)
        except UnknownSnapshotError as error:
            raise DamagedSnapshotError(
                f"{self.folder}/{tenant_id}/{_POINTER} in the lake names a snapshot that is not "
                "there",
                remedy="restore its manifest from a backup; or move `current.json` away, and "
                f"`{self._made_by}` publishes a new snapshot",
            ) from error

    def read(self, lake: Lake, tenant_id: str, snapshot_id: str) -> M:
        """Return a snapshot; raise `EtaError` when the tenant has none of that id."""
        is_id = _SNAPSHOT_ID.fullmatch(snapshot_id) is not None
        found = self._folder(lake, tenant_id).read(f"{snapshot_id}.json") if is_id else None
        if found is None:
            raise UnknownSnapshotError(
                f"tenant {tenant_id} has no snapshot of that id",
                remedy=f"see its snapshots with `{self._listed_by} --tenant {tenant_id}`",
            )
        where = f"{self.folder}/{tenant_id}/{snapshot_id}.json"
        try:
            manifest = self._manifest.model_validate_json(found)
        except ValidationError as error:
            raise _unreadable(where) from error
        if (manifest.tenant_id, manifest.snapshot_id) != (tenant_id, snapshot_id):
            raise DamagedSnapshotError(
                f"{where} is the manifest of another snapshot or tenant",
                remedy="put the file back where it was, or restore this one from a backup",
            )
        return manifest

    def find(self, lake: Lake, tenant_id: str, snapshot_id: str) -> M:
        """Return a snapshot by its id or by the word `current`; raise `EtaError` without it."""
        if snapshot_id != "current":
            return self.read(lake, tenant_id, snapshot_id)
        found = self.current(lake, tenant_id)
        if found is None:
            raise EtaError(
                f"nothing is published for tenant {tenant_id}",
                remedy=f"run `{self._made_by}`; `{self._listed_by}` shows what there is",
            )
        return found

    def tenants(self, lake: Lake) -> list[str]:
        """Return the ids of the tenants that have published anything."""
        return lake.folder(self.folder).folders()

    def all_of(self, lake: Lake, tenant_id: str) -> list[M]:
        """Return all snapshots of a tenant, oldest first."""
        names = self._folder(lake, tenant_id).names("")
        identifiers = [name.removesuffix(".json") for name in names if name != _POINTER]
        return [self.read(lake, tenant_id, found) for found in identifiers]

    def expired(self, lake: Lake, tenant_id: str, before: datetime) -> list[M]:
        """Return the snapshots published earlier than `before`, the current one never."""
        current = self.current(lake, tenant_id)
        kept = None if current is None else current.snapshot_id
        return [
            found
            for found in self.all_of(lake, tenant_id)
            if found.created_at < before and found.snapshot_id != kept
        ]

    def forget(self, lake: Lake, manifest: M) -> None:
        """Delete a manifest: the snapshot pins nothing any more. Safe to repeat."""
        folder = self._folder(lake, manifest.tenant_id)
        folder.delete(_card(manifest))
        folder.delete(f"{manifest.snapshot_id}.json")

    def withdraw(self, lake: Lake, manifest: M, now: datetime) -> None:
        """Note that a snapshot's rows cannot be read any more. Safe to repeat.

        Its card goes: its figures are of people who were erased, too.
        """
        folder = self._folder(lake, manifest.tenant_id)
        folder.delete(_card(manifest))
        noted = manifest.model_copy(update={"withdrawn_at": now})
        folder.write(f"{manifest.snapshot_id}.json", to_json(noted))
        folder.delete(_card(manifest))  # one that was made meanwhile

    def write_card(self, lake: Lake, manifest: M, card: bytes) -> None:
        """Keep the card of a snapshot, in place of an earlier one."""
        self._folder(lake, manifest.tenant_id).write(_card(manifest), card)

    def read_card(self, lake: Lake, manifest: M) -> bytes | None:
        """Return the card that is kept of a snapshot, None without one."""
        return self._folder(lake, manifest.tenant_id).read(_card(manifest))

    def delete_card(self, lake: Lake, manifest: M) -> None:
        """Delete the card of a snapshot. Safe to repeat."""
        self._folder(lake, manifest.tenant_id).delete(_card(manifest))

    def has_cards(self, lake: Lake, tenant_id: str) -> set[str]:
        """Return the ids of a tenant's snapshots of which a card is kept."""
        names = self._folder(lake, tenant_id).names(_CARDS)
        return {name.removesuffix(".json") for name in names}

    def _folder(self, lake: Lake, tenant_id: str) -> ObjectFolder:
        return lake.folder(f"{self.folder}/{check_tenant_id(tenant_id)}")


def _card(manifest: Manifest) -> str:
    return f"{_CARDS}/{manifest.snapshot_id}.json"


def _unreadable(where: str) -> EtaError:
    return DamagedSnapshotError(
        f"{where} in the lake cannot be read: it is cut or was changed",
        remedy="restore the file from a backup; or move it and `current.json` beside it away, and "
        "`eta prepare` publishes a new snapshot",
    )


def to_json(manifest: Manifest) -> bytes:
    """Return the manifest as it is stored: JSON, indented, one newline at the end."""
    return (manifest.model_dump_json(indent=2) + "\n").encode()


TRAINING_SETS: Final = Snapshots(
    "training_sets", Manifest, made_by="eta prepare", listed_by="eta training list"
)
EVALUATION_SETS: Final = Snapshots(
    "evaluation_sets",
    EvaluationManifest,
    made_by="eta evaluation make",
    listed_by="eta evaluation list",
)
SnapshotKind = Literal["training", "evaluation"]
KINDS: Final[Mapping[SnapshotKind, Snapshots[Any]]] = {
    "training": TRAINING_SETS,
    "evaluation": EVALUATION_SETS,
}


def snapshots_of(manifest: Manifest) -> Snapshots[Any]:
    """Return the snapshots of the kind that a manifest is of."""
    return EVALUATION_SETS if isinstance(manifest, EvaluationManifest) else TRAINING_SETS

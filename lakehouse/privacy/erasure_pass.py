"""One pass over requests of a tenant: fence, raw tables, models, stores, proof.

Every step may be repeated, so after a kill the next pass simply goes on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, Protocol

from lakehouse.contracts.tables import PERSONAL_TABLES, RAW_QUARANTINE
from lakehouse.control.erasure_subjects import Subject
from lakehouse.control.erasures import FIRST_STEP, Erasure
from lakehouse.privacy.certifying import ErasureResult, end_request
from lakehouse.privacy.counts import DERIVED_ROWS, ENTRIES, FILES, KEYS, RAW_ROWS, REWRITTEN, Counts
from lakehouse.privacy.database import TABLES, change_rows, row_changes
from lakehouse.privacy.derived import (
    commit_hashes,
    count_rows,
    derived_tables,
    subjects_file,
    table_versions,
)
from lakehouse.privacy.fence import raise_fence
from lakehouse.privacy.identifier_patterns import IdentifierPatterns
from lakehouse.privacy.mapping_history import MappingHistory
from lakehouse.privacy.mentions import FREE_COLUMNS, delete_mentions, redact_mentions
from lakehouse.privacy.purge import (
    drop_old_files,
    exports_naming,
    files_naming,
    remove_remnants,
)
from lakehouse.privacy.raw_tables import People, delete_rows, erased_rows, tied_ids
from lakehouse.privacy.readers import Readers
from lakehouse.privacy.redis_keys import delete_keys, with_keys
from lakehouse.privacy.signing import signing_key
from lakehouse.privacy.storage_locations import DATABASE, REDIS
from lakehouse.privacy.unmatched import note_unmatched
from lakehouse.privacy.verify import Search, search, tenant_settings
from lakehouse.privacy.waiting import WaitingError, refuse_unsearchable, still_found
from lakehouse.privacy.widening import widen
from lakehouse.spark.scratch import empty_scratch
from lakehouse.storage.lake import Lake

if TYPE_CHECKING:
    from lakehouse.control.database import ControlDatabase
    from lakehouse.settings import LakeSettings

FENCE, RAW, MODELS, STORES, PROOF = FIRST_STEP, "raw", "models", "stores", "proof"
STEPS: Final = (FENCE, RAW, MODELS, STORES, PROOF)
_WITH_TIED: Final = (
    *(one.path for one in PERSONAL_TABLES if "anonymous_id" in one.subjects),
    RAW_QUARANTINE.path,
)
SHARED: Final = (FENCE, MODELS)
"""Steps that fail for every request or for none."""
ROUNDS: Final = 3
"""How often what is left is removed and looked for again before the requests wait."""


class Models(Protocol):
    """What runs dbt, and knows of published snapshots."""

    def locked(self, settings: LakeSettings) -> Any:
        """Hold the lock of the models (a context); raises `RunLocked` while a run goes on."""
        ...

    def delete(
        self, settings: LakeSettings, tenant_id: str, tables: Sequence[str], subjects: str
    ) -> None:
        """Delete people from tables of the models; `subjects` is a file's location."""
        ...

    def run(self, settings: LakeSettings) -> None:
        """Bring every model up to date."""
        ...

    def withdraw(self, settings: LakeSettings, tenant_id: str, now: datetime) -> list[str]:
        """Withdraw published snapshots that cannot be read any more; return their ids."""
        ...

    def publish(self, settings: LakeSettings, tenant_id: str) -> str | None:
        """Publish the tenant's training set again; return why not, if not."""
        ...


class ErasurePass:
    """One pass over some of a tenant's open requests.

    `done` are those that have ended, `held` those that wait for something, and for what; `step` is
    where an error came.
    """

    def __init__(
        self,
        settings: LakeSettings,
        database: ControlDatabase,
        models: Models,
        clock: Callable[[], datetime],
        on_step: Callable[[str], None],
        requests: Sequence[Erasure],
    ) -> None:
        tenant_id = requests[0].tenant_id
        self._settings = settings
        self._lake = Lake(settings)
        self._database = database
        self._models = models
        self._now = clock
        self._on_step = on_step
        self._tenant_id = tenant_id
        self._requests = requests
        self._ids = [request.request_id for request in requests]
        self._policy = tenant_settings(self._database, tenant_id).privacy.mentions
        self.done: list[str] = []
        self.held: dict[str, tuple[str, ...]] = {}
        self.step = STEPS[min(STEPS.index(request.step) for request in requests)]

    def run(self) -> None:
        """Do every step from the first that any of the requests has before it."""
        steps: Mapping[str, Callable[[], None]] = {
            FENCE: self._fence,
            RAW: self._raw,
            MODELS: self._clean_models,
            STORES: self._stores,
            PROOF: self._prove,
        }
        for name in STEPS[STEPS.index(self.step) :]:
            self.step = name
            self._on_step(name)
            for request_id in self._ids:
                self._database.erasures.move(request_id, state="running", step=name)
            steps[name]()

    def _fence(self) -> None:
        """Let nothing of these people in any more, under their anonymous ids neither."""
        widen(self._lake, self._database, self._tenant_id, self._subjects())
        raise_fence(self._lake)
        people = self._people()
        by_request: dict[str, dict[str, str]] = {}
        for text, subject in tied_ids(self._lake, people):
            by_request.setdefault(subject.request_id, {})[text] = subject.subject_hash
        for request_id, tied in by_request.items():
            self._database.erasures.people.tie(self._tenant_id, request_id, tied)
        if by_request:
            raise_fence(self._lake)
        note_unmatched(self._settings, self._database, self._tenant_id, self._subjects())

    def _raw(self) -> None:
        people = self._people()
        tables = derived_tables(self._lake)
        counts = self._counts()
        counts.together()
        counts.rows(DERIVED_ROWS, count_rows(tables, self._tenant_id, people.requests))
        with counts.while_removing(REWRITTEN) as rewritten:
            done = delete_rows(self._lake, people, self._now(), self._history())
            if self._policy == "delete_row":
                done += delete_mentions(self._lake, people, self._now())
            elif self._policy == "redact":
                done += redact_mentions(self._lake, people)
            rewritten.update(files=done.files, bytes=done.bytes)
        counts.rows(RAW_ROWS, erased_rows(self._lake, self._tenant_id, self._ids))

    def _clean_models(self) -> None:
        """Delete from the models' tables and bring them up to date, alone.

        Before the lock is had, every run that was under way has ended; a later one reads raw as it
        is now. Once the models have read what was deleted from raw, nobody needs the files that
        tell of it.
        """
        tables = list(derived_tables(self._lake))
        if not tables:
            return
        people = self._people()
        with self._models.locked(self._settings):
            for _ in range(2):
                whom = list(people.subjects), list(people.tied)
                with subjects_file(self._lake, *whom) as location:
                    self._models.delete(self._settings, self._tenant_id, tables, location)
                self._models.run(self._settings)
                # What the run itself deleted is only marked: the second pass rewrites it.

    def _stores(self) -> None:
        people, counts = self._people(), self._counts()
        redis = (self._settings.redis_url, self._tenant_id, {**people.subjects, **people.tied})
        keys: Counter[str] = Counter()
        for text in with_keys(*redis):
            keys.update(people.requests_of([text], [text]))
        changes = row_changes(
            self._database,
            self._tenant_id,
            people.patterns,
            Readers(self._history()),
            frozenset(people.tied),
        )
        rows: Counter[str] = Counter()
        for one in changes:
            rows.update(people.requests_of(one.subjects, one.tied))
        with counts.before_removing(KEYS, keys), counts.before_removing(ENTRIES, rows):
            delete_keys(*redis)
            change_rows(self._database, changes)
        self._database.compact(TABLES)

    def _prove(self) -> None:
        """Search; remove what is left and search again; certify when nothing is."""
        self._hold_behind_uploads()
        if not self._requests:
            return
        refuse_unsearchable(self._lake)
        empty_scratch(self._lake)
        people, counts = self._people(), self._counts()
        found = self._search_and_remove(people, counts)
        with counts.while_removing(FILES):
            withdrawn = self._models.withdraw(self._settings, self._tenant_id, self._now())
            counts.snapshots(withdrawn)
        refusal = self._models.publish(self._settings, self._tenant_id) if withdrawn else None
        self._certify(found, refusal)

    def _search_and_remove(self, people: People, counts: Counts) -> Search:
        """Return the search that found nobody; raises `WaitingError` when somebody stays."""
        if people.tied:  # rows that came under them since, beside another user, stay
            tied = IdentifierPatterns(people.tied)
            readers = Readers(self._history())
            derived = (name.replace(".", "/", 1) for name in derived_tables(self._lake))
            tables = {*_WITH_TIED, *derived}
            old = files_naming(self._lake, self._tenant_id, tables, tied, readers)
            old += exports_naming(self._settings, self._tenant_id, tied, readers)
            with counts.while_removing(FILES) as removed:
                done = remove_remnants(
                    self._settings, Search(tuple(old), {}, 0), self._database.queue.needs
                )
                removed.update(done.files)
        for _ in range(ROUNDS):
            found = search(self._settings, self._database, self._tenant_id, people.patterns)
            if found.is_clean:
                break
            with counts.while_removing(FILES) as removed:
                done = remove_remnants(self._settings, found, self._database.queue.needs)
                removed.update(done.files)
            self._repeat_for(done.live, {finding.kind for finding in found.findings})
        else:
            raise WaitingError(still_found(self._lake, found))
        if self._policy != "keep":
            old = [one for one in found.mentions if one.how.removeprefix("column ") in FREE_COLUMNS]
            with counts.while_removing(FILES) as removed:
                removed.update(drop_old_files(self._lake, old))
            found = search(self._settings, self._database, self._tenant_id, people.patterns)
        return found

    def _repeat_for(self, live: set[str], kinds: set[str]) -> None:
        """Do earlier steps again for what was found where they should have left nothing."""
        if any(table.startswith(("raw/", "ops/")) for table in live):
            self._raw()
        if any(not table.startswith(("raw/", "ops/")) for table in live):
            self._clean_models()
        if kinds & {DATABASE, REDIS}:
            self._stores()

    def _hold_behind_uploads(self) -> None:
        """Uploads that began before a request may hold its subjects: it waits until they end."""
        for request in self._requests:
            jobs = self._database.jobs.unfinished(self._tenant_id, request.requested_at)
            if jobs:
                self.held[request.request_id] = (
                    f"{len(jobs)} uploads that began before the request go on; it goes on by "
                    "itself when they have ended",
                )
        self._requests = [one for one in self._requests if one.request_id not in self.held]
        self._ids = [request.request_id for request in self._requests]

    def _certify(self, found: Search, refusal: str | None) -> None:
        versions = table_versions(self._lake)
        proven = ErasureResult(
            found=found,
            refusal=refusal,
            policy=self._policy,
            identifiers=self._people().patterns.counts,
            table_versions=versions,
            table_commits=commit_hashes(self._lake, versions),
        )
        key = signing_key(self._settings)
        for request_id in self._ids:
            if end_request(self._database, request_id, proven, key, self._now()):
                self.done.append(request_id)
        self._database.compact(TABLES)

    def _history(self) -> MappingHistory:
        return MappingHistory.read(self._database, self._tenant_id)

    def _people(self) -> People:
        return People.of(self._tenant_id, self._subjects())

    def _subjects(self) -> list[Subject]:
        return self._database.erasures.people.of(self._ids)

    def _counts(self) -> Counts:
        return Counts(self._database.erasures, self._ids)

"""One trial: fill a home, erase, look, send everything again, look again."""

import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

from benchmarks.erasure.hostile.homes import environment_of
from benchmarks.erasure.hostile.payloads import (
    CHANGED_SETTINGS,
    SETTINGS,
    SUBJECT_PATHS,
    Payloads,
)
from benchmarks.erasure.hostile.people import KINDS, PLAIN, people
from benchmarks.erasure.hostile.proof import (
    Expected,
    Proof,
    suppressed_rows,
    write_leftovers,
    write_old_exports,
)
from benchmarks.erasure.hostile.reading import Home
from benchmarks.erasure.hostile.requests import ENDED_WELL, Requests
from benchmarks.erasure.hostile.sending import Customer, Sent, Topics, eta, topics
from tests.support.service import RunningService

TENANT, OTHER = "acme", "globex"
FORMATS = ("parquet", "recbole", "personalize")


@dataclass(frozen=True)
class Options:
    """What a trial consists of."""

    count: int = 500
    seed: int = 1
    with_kafka: bool = True
    with_models: bool = False
    with_mentions: bool = True
    kinds: tuple[str, ...] = tuple(KINDS)
    with_files: bool = True
    with_replay: bool = True
    program: tuple[str, ...] = ()
    """Stands for `eta` when the erasure is carried out: a broken one."""


@dataclass
class Outcome:
    """What a trial saw; it passed when nothing is wrong."""

    people: int
    erased: int
    rows_sent: dict[str, int] = field(default_factory=dict)
    places_before: int = 0
    requests: dict[str, str] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    wrong: dict[str, Any] = field(default_factory=dict)

    @property
    def to_json(self) -> dict[str, Any]:
        """Everything, as JSON has it."""
        return {"passed": not self.wrong, **asdict(self)}


class Trial:
    """A service, its customers and what they send, in a folder of their own."""

    def __init__(self, folder: Path, options: Options, say: Callable[[str], None]) -> None:
        self._options, self._say = options, say
        self._home = folder / "home"
        self._home.mkdir(mode=0o700)
        everybody = people(options.count, options.seed, options.kinds)
        self._everybody = everybody
        self._service = RunningService(self._home, environment_of(self._home))
        self._customers = [Customer(self._service, t, folder) for t in (TENANT, OTHER)]
        # Ids that only one tenant has prove something about bytes that both share.
        strangers = [
            replace(p, user_id=f"v{p.user_id[1:]}") if p.kind == PLAIN else p for p in everybody
        ]
        made = [
            Payloads(TENANT, everybody, options.seed, options.with_mentions),
            Payloads(OTHER, strangers, options.seed, options.with_mentions),
        ]
        self._packages = [one.packages() for one in made]
        by_id = {p.user_id: p for p in everybody}
        self._expected = Expected(by_id, frozenset(made[0].mentioned))
        self._strangers = strangers
        self._seen = Home(self._home, TENANT, SUBJECT_PATHS)
        self.proof = Proof(self._seen, OTHER, self._expected)
        erased = [p for p in everybody if p.is_erased]
        self.outcome = Outcome(len(everybody), len(erased))

    def run(self) -> Outcome:
        """Do it all."""
        with ExitStack() as stack:
            broker = stack.enter_context(topics(self._home)) if self._options.with_kafka else None
            self._service.start()
            stack.callback(self._service.stop)
            self._timed("filling", lambda: self._fill(broker))
            before = self._timed("reading", self.proof.before)
            self.outcome.places_before = len(
                self._seen.held(self._expected.leaving, self._expected.marks)
            )
            self._set_settings(CHANGED_SETTINGS)
            self._timed("erasing", self._erase)
            self._timed("reading again", lambda: self.proof.after_erasure(before))
            self.proof.permissions()
            if self._options.with_models:
                self._timed("preparing again", self._look_at_models)
            if self._options.with_replay:
                self._set_settings(SETTINGS)
                self._timed("replaying", lambda: self._replay(broker))
                self.proof.after_replay(before)
        self.outcome.wrong = self.proof.report()
        return self.outcome

    def _set_settings(self, document: dict[str, Any]) -> None:
        """Rename and remove mappings, or take that back."""
        for customer in self._customers:
            customer.set_settings(document)

    def _timed(self, name: str, do: Callable[[], Any]) -> Any:
        self._say(name)
        begun = perf_counter()
        found = do()
        self.outcome.seconds[name] = round(perf_counter() - begun, 1)
        return found

    def _fill(self, broker: Topics | None) -> None:
        total: Counter[str] = Counter()
        for sent in self._send(broker):
            total.update(sent.received)
        self.outcome.rows_sent = dict(total)
        if self._options.with_models:
            self._build_and_export()
        else:
            for tenant, everybody in ((TENANT, self._everybody), (OTHER, self._strangers)):
                users = [p.user_id for p in everybody if p.is_exportable]
                write_old_exports(self._home, tenant, users)
            write_leftovers(self._home, self._expected.marks.texts)

    def _send(self, broker: Topics | None, *, is_again: bool = False) -> list[Sent]:
        found = []
        for customer, packages in zip(self._customers, self._packages, strict=True):
            found.append(customer.send(packages))
            if broker is not None and not is_again:
                broker.send(customer.tenant_id, packages)
        if broker is not None:
            broker.take_in(is_again=is_again)
        return found

    def _build_and_export(self) -> None:
        _succeed(eta(self._home, "prepare"))
        for tenant in (TENANT, OTHER):
            for kind in FORMATS:
                _succeed(eta(self._home, "export", "--tenant", tenant, "--format", kind))

    def _look_at_models(self) -> None:
        listed = _succeed(eta(self._home, "training", "list", "--tenant", TENANT))
        self.proof.own_snapshots(listed)
        again = eta(self._home, "prepare")
        if again.returncode:
            self.proof.say("prepare", again.stderr[-1_500:])

    def _erase(self) -> None:
        requests = Requests(self._service, TENANT, self._home.parent)
        erased = [p for p in self._everybody if p.is_erased]
        requests.ask(erased, with_files=self._options.with_files)
        said = requests.carry_out(self._options.program)
        answers = requests.answers()
        self.outcome.requests = {name: one["state"] for name, one in answers.items()}
        self.outcome.refused = requests.refused
        for name, one in answers.items():
            if one["state"] not in ENDED_WELL:
                waits = one.get("waits_for") or said[-1:]
                self.proof.say("requests_end", f"{name}: {one['state']}: {waits}")
            elif one["state"] == "completed" and not one.get("certificate"):
                self.proof.say("requests_end", f"{name}: no certificate")
        if self.outcome.requests.get("nobody") == "completed":
            self.proof.say("requests_end", "a request for nobody has a certificate of erasure")

    def _replay(self, broker: Topics | None) -> None:
        sent, _ = self._send(broker, is_again=True)
        wanted: Counter[str] = Counter()
        for package in self._packages[0]:
            if package.way in sent.received:
                count = suppressed_rows(package.owners, self._expected.people)
                wanted[package.way] += count
        for way, count in wanted.items():
            if sent.suppressed[way] != count:
                self.proof.say(
                    "suppressed_rows",
                    f"{way}: {sent.suppressed[way]} were suppressed, {count} are of the erased",
                )


def try_it(options: Options, folder: Path | None = None) -> Outcome:
    """Run one trial in a temporary folder, or in one that is kept."""

    def say(text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    if folder is not None:
        folder.mkdir(parents=True)
        return Trial(folder, options, say).run()
    with TemporaryDirectory(prefix="eta-hostile-") as made:
        return Trial(Path(made), options, say).run()


def _succeed(done: "subprocess.CompletedProcess[str]") -> str:
    if done.returncode:
        raise RuntimeError(f"{done.args} failed:\n{done.stdout[-1500:]}\n{done.stderr[-3000:]}")
    return done.stdout

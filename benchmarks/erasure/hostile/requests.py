"""Asks for erasures in every way there is, and waits until each request has ended."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx

from benchmarks.erasure.hostile.people import Person
from benchmarks.erasure.hostile.sending import eta
from lakehouse.errors import EtaError
from tests.support.service import RunningService

UNENDED: Final = frozenset({"pending", "running", "waiting"})
ENDED_WELL: Final = frozenset({"completed", "nothing_found"})
ROUNDS: Final = 3
UNKNOWN: Final = "nobody-3f1c9a5577d04e21"


@dataclass
class Requests:
    """The requests of one tenant."""

    service: RunningService
    tenant_id: str
    folder: Path

    def __post_init__(self) -> None:
        self.ids: dict[str, str] = {}
        self.refused: dict[str, str] = {}
        self._key = _key(self.service, self.tenant_id)

    def ask(self, erased: Sequence[Person], *, with_files: bool = True) -> None:
        """Make the requests: words alone, a CSV and a JSON file of ids, a header, nobody."""
        words = [p.user_id for p in erased if p.kind == "words"]
        others = [p for p in erased if p.kind != "words"]
        in_files = [p.user_id for p in others if with_files and p.can_stand_in_a_line]
        self.over_http("words", words[:1])
        self.over_http("more words", words[1:])
        self.over_http("texts", [p.user_id for p in others if p.user_id not in in_files])
        if with_files:
            half = len(in_files) // 2
            self.from_file("a file with a header", csv_of(in_files[:half]), "csv")
            self.from_file("JSON lines", jsonl_of(in_files[half:]), "jsonl")
            self.from_file("a header alone", "\ufeffuser_id\r\n", "csv")
        self.over_http("nobody", [UNKNOWN])

    def over_http(self, name: str, subjects: Sequence[str]) -> None:
        """Ask by `POST /v1/privacy/erasures`."""
        if not subjects:
            return
        answer = httpx.post(
            f"{self.service.base_url}/v1/privacy/erasures",
            content=json.dumps({"subjects": list(subjects)}),
            headers={**self._headers, "Content-Type": "application/json"},
            timeout=60,
        )
        assert answer.status_code == 202, answer.text
        self.ids[name] = answer.json()["request_id"]

    def from_file(self, name: str, text: str, suffix: str) -> None:
        """Ask by `eta privacy erase --file`."""
        path = self.folder / f"ids.{suffix}"
        path.write_text(text, encoding="utf-8", newline="")
        done = eta(
            *(self.service.home, "privacy", "erase"),
            *("--tenant", self.tenant_id, "--file", str(path)),
        )
        path.unlink()
        if done.returncode:
            said = done.stderr.strip().splitlines()
            self.refused[name] = next((line for line in said if "Error" in line), said[0])
        else:
            self.ids[name] = done.stdout.split()[0]

    def carry_out(self, program: Sequence[str] = ()) -> list[str]:
        """Run `eta privacy work` until nothing is open, a few times; return what it said."""
        said = []
        for _ in range(ROUNDS):
            done = eta(self.service.home, "privacy", "work", program=program)
            said.append(done.stderr[-2_000:])
            if not self.open():
                break
        return said

    def open(self) -> list[str]:
        """Return the names of the requests that have not ended."""
        return [name for name, one in self.answers().items() if one["state"] in UNENDED]

    def answers(self) -> dict[str, Any]:
        """Return what HTTP says of each request."""
        url = f"{self.service.base_url}/v1/privacy/erasures"
        return {
            name: httpx.get(f"{url}/{request_id}", headers=self._headers, timeout=60).json()
            for name, request_id in self.ids.items()
        }

    @property
    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._key}"}


def csv_of(ids: Sequence[str]) -> str:
    """A file as a spreadsheet saves it: BOM, header, CRLF, an empty line, quotes where needed."""
    cells = [
        '"' + one.replace('"', '""') + '"' if any(char in one for char in '",;\t') else one
        for one in ids
    ]
    return "\ufeff" + "\r\n".join(["user_id", *cells[:1], "", *cells[1:], ""])


def jsonl_of(ids: Sequence[str]) -> str:
    """A JSON string in each line."""
    return "".join(json.dumps(one) + "\n" for one in ids)


def _key(service: RunningService, tenant_id: str) -> str:
    try:
        return service.add_key(tenant_id, "privacy")
    except (EtaError, ValueError):  # before there was a scope of its own
        return service.add_key(tenant_id, "admin")

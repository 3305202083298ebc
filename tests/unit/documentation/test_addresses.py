"""Every documented address is one of the service; requests written out in full are answered."""

import re
from pathlib import Path
from typing import NamedTuple
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest
from fastapi.testclient import TestClient

from tests.unit.documentation.examples import PAGES, blocks, commands, page_id, parse, spans

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
FILE = b"user_id,item_id,interaction_type,timestamp\nanna,kettle,view,1764000000000\n"


class Address(NamedTuple):
    """A method (none: any) and a path, which may begin with `…`."""

    method: str | None
    path: str
    query: str


def addresses(text: str) -> list[Address]:
    """The addresses in code: after a method, or a path of the versioned API alone."""
    told: list[tuple[str | None, str]] = []
    for span in [*spans(text), *(block.text for block in blocks(text, "http", ""))]:
        for method, url in re.findall(rf"\b({'|'.join(METHODS)}) (…?/[^\s`\"']*)", span):
            told.append((method, url))
        if re.fullmatch(r"/(v1|internal)/\S+", span):
            told.append((None, span))
    return [Address(m, *urlsplit(url.rstrip(".,)"))[2:4]) for m, url in told]


def unknown(client: TestClient, address: Address) -> str | None:
    """What the service does not have of an address: the path, its method or a query's name."""
    described = client.app.openapi()["paths"]  # type: ignore[attr-defined]
    method, path, query = address
    like = [
        (verb.upper(), operation)
        for known, operations in described.items()
        for verb, operation in operations.items()
        if _is_like(path, known)
    ]
    if not like:
        undescribed = method == "GET" and client.get(path).status_code != 404
        return None if undescribed else f"no such path: {path}"
    if method and method not in {verb for verb, _ in like}:
        return f"{path} has no {method}"
    names = {p["name"] for _, operation in like for p in operation.get("parameters", [])}
    asked = {name for name, _ in parse_qsl(query, keep_blank_values=True)}
    return f"{path} takes no {sorted(asked - names)}" if asked - names else None


def _is_like(path: str, known: str) -> bool:
    said, there = path.strip("…/").split("/"), known.strip("/").split("/")
    if path.startswith("…"):
        there = there[-len(said) :]
    return len(said) == len(there) and all(
        a == b or b.startswith("{") for a, b in zip(said, there, strict=True)
    )


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_every_address_is_the_services(page: Path, client: TestClient) -> None:
    told = [(a, reason) for a in addresses(page.read_text()) if (reason := unknown(client, a))]
    assert told == []


def test_an_address_that_is_not_there_is_noticed(client: TestClient) -> None:
    told = addresses("`POST /v1/event`, `DELETE /v1/events`, `GET …/audit-log?sinc=1`, `/v1/no/a`")
    assert [str(unknown(client, address)).split(":")[0] for address in told] == [
        "no such path",
        "/v1/events has no DELETE",
        "…/audit-log takes no ['sinc']",
        "no such path",
    ]


REQUESTS = [
    pytest.param(command.words[1:], id=f"{page_id(page)}:{number}")
    for page in PAGES
    for number, command in enumerate(commands(page.read_text()))
    if command.words[:1] == ("curl",)
]


@pytest.mark.parametrize("words", REQUESTS)
def test_every_request_is_answered(words: tuple[str, ...], client: TestClient) -> None:
    answer = send(client, words)
    assert answer.status_code < 400, answer.text


def test_requests_are_found_and_refusals_noticed(client: TestClient) -> None:
    assert len(REQUESTS) >= 6
    (words,) = parse("""curl http://x/v1/events -H 'Content-Type: application/json' -d '{"a":1}'""")
    assert send(client, words[1:]).status_code >= 400


def send(client: TestClient, words: tuple[str, ...]) -> httpx.Response:
    """Send what `curl` would, with the key of `acme`; a file it names is a small right one."""
    url, method, headers, content, files = "", None, {}, None, None
    rest = iter(words)
    for word in rest:
        if word in ("-H", "--header"):
            name, _, value = next(rest).partition(": ")
            headers |= {} if name == "Authorization" else {name: value}
        elif word in ("-d", "--data"):
            content = next(rest)
        elif word in ("-F", "--form"):
            files = {next(rest).split("=")[0]: ("clicks.csv", FILE)}
        elif word in ("-X", "-o"):
            method = next(rest) if word == "-X" else method if next(rest) else None
        elif not word.startswith("-"):
            url = word
    _, _, path, query, _ = urlsplit(re.sub(r"^(\$\w+|…)", "http://x", url))
    method = method or ("POST" if content or files else "GET")
    return client.request(method, f"{path}?{query}", headers=headers, content=content, files=files)

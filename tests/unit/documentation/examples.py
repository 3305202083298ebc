"""What a page tells its reader to type: commands, addresses and blocks of code."""

import re
import shlex
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from tests.conftest import PROJECT_DIR

PAGES: Final = sorted(
    [
        *PROJECT_DIR.glob("*.md"),
        *PROJECT_DIR.glob("packages/*/README.md"),
        *PROJECT_DIR.glob("examples/*.md"),
        *PROJECT_DIR.glob("docs/**/*.md"),
    ]
)
"""All pages that give examples; the log of changes names commands of its time."""
PAGES.remove(PROJECT_DIR / "CHANGELOG.md")

_FENCE: Final = re.compile(r"^( *)(?:```|~~~)(\S*)[^\n]*\n(.*?)^\1(?:```|~~~) *$", re.M | re.S)
_CODE: Final = re.compile(r"`([^`\n]+)`")
_HEREDOC: Final = re.compile(r" *<<'?(\w+)'?\n.*?\n\1$", re.M | re.S)
_COMMENT: Final = re.compile(r"('[^']*'|\"[^\"]*\")|(?:^|(?<=\s))#[^\n]*", re.M)
_PROGRAMS: Final = ("eta", "dbt", "python", "uv", "curl")


class Block(NamedTuple):
    """A fenced block of a page."""

    language: str
    text: str


class Command(NamedTuple):
    """A command as its words; a whole one stands in a block, one in a sentence may be cut short."""

    words: tuple[str, ...]
    whole: bool

    def __str__(self) -> str:
        return " ".join(self.words)


def page_id(page: Path) -> str:
    """Return the name of a page in the list of tests."""
    return str(page.relative_to(PROJECT_DIR))


def blocks(text: str, *languages: str) -> list[Block]:
    """Return the fenced blocks of these languages, without their indentation."""
    return [
        Block(match[2], textwrap.dedent(match[3]))
        for match in _FENCE.finditer(text)
        if match[2] in languages
    ]


def pages_with(*languages: str) -> list[Path]:
    """Return the pages that have blocks of these languages."""
    return [page for page in PAGES if blocks(page.read_text(), *languages)]


def spans(text: str) -> list[str]:
    """Return what stands as code within sentences and tables."""
    return [code.replace("\\|", "|") for code in _CODE.findall(_FENCE.sub("", text))]


def commands(text: str) -> Iterator[Command]:
    """Return every command of a page, without variables before it and without `uv run`."""
    for block in blocks(text, "sh", "bash", ""):
        if block.language or block.text.startswith(_PROGRAMS):
            yield from (Command(words, whole=True) for words in parse(block.text))
    for span in spans(text):
        first = re.sub(r"^(?:[A-Z_]+=\S+ +)*", "", span).split(" ")[0]
        if first in _PROGRAMS and " " in span and "[OPTIONS]" not in span:
            yield from (Command(words, whole=False) for words in parse(span))


def parse(script: str) -> Iterator[tuple[str, ...]]:
    """Return the words of each command of a shell's lines, those within `$( )` too."""
    script = _COMMENT.sub(r"\1", _HEREDOC.sub("", script)).replace("\\\n", " ")
    lexer = shlex.shlex(script, posix=True, punctuation_chars="();<>|&\n")
    lexer.whitespace, lexer.whitespace_split, lexer.commenters = " \t", True, ""
    words: list[str] = []
    tokens = [*lexer, "\n"]
    for before, token in zip(["", *tokens], tokens, strict=False):
        if {before, token} & {">", ">>"}:  # a file, no command
            continue
        if re.fullmatch(r"[();<>|&\n]+", token):
            if plain := _plain(words):
                yield plain
            words = []
        elif inner := re.fullmatch(r"\$\((.*)\)", token):
            yield from parse(inner[1])
        else:
            words.append(token)


def _plain(words: list[str]) -> tuple[str, ...]:
    while words and (re.match(r"[A-Za-z_]+=", words[0]) or words[0] in ("export", "eval")):
        words = words[1:]
    if words[:2] == ["uv", "run"]:
        words = words[4:] if words[2:3] == ["--group"] else words[2:]
    return tuple(words)

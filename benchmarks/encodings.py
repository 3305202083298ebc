"""What files of words in many languages are read as, when nobody gives their encoding.

Names of countries, languages, currencies, months and days from CLDR (by Babel), in each language
that has some beyond ASCII, are written as small catalogues in every encoding that has all of their
letters: one word, six, or 120. Counted is what becomes of each: read right, read wrong, or asked
for its encoding, and how often the first of the named candidates, or any, reads it right.
`python -m benchmarks.encodings` prints the counts and writes `benchmarks/results/encodings.json`.
"""

import argparse
import json
import random
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from babel import Locale, UnknownLocaleError, localedata

from ingest_service.readers.csv.detection import Guess, guess_encoding
from ingest_service.readers.csv.languages import EAST_ASIAN, LATIN, OTHER_SCRIPTS

SIZES: Final = {"one word": (1, 3), "six words": (6, 1), "120 words": (120, 1)}
"""Words in a file, and files of each language and encoding."""
LEAST_WORDS: Final = 8
LEAST_SHARE: Final = 0.6
"""Of a language's words, that an encoding has to have the letters of."""
ENCODINGS: Final = (*LATIN, *OTHER_SCRIPTS, "iso8859-1", *EAST_ASIAN)
RESULT: Final = Path(__file__).parent / "results" / "encodings.json"


def words_by_language() -> dict[str, list[str]]:
    """Return the words beyond ASCII of every language of CLDR that has some."""
    found = {}
    for name in sorted(localedata.locale_identifiers()):
        try:
            locale = Locale.parse(name)
        except (ValueError, UnknownLocaleError):
            continue
        if locale.territory is not None:
            continue
        tables = (locale.territories, locale.languages, locale.currencies)
        words = {word for table in tables for word in table.values()}
        words.update(locale.months["format"]["wide"].values())
        words.update(locale.days["format"]["wide"].values())
        beyond = sorted(word for word in words if not word.isascii() and '"' not in word)
        if len(beyond) >= LEAST_WORDS:
            found[name] = beyond
    return found


def files(words: Sequence[str], encoding: str, pick: random.Random) -> Iterator[tuple[str, bytes]]:
    """Yield catalogues of a language's words, with what their size is called."""
    able = [word for word in words if _is_written(word, encoding)]
    if len(able) < max(LEAST_WORDS, LEAST_SHARE * len(words)):
        return
    for size, (count, number) in SIZES.items():
        for _ in range(number):
            some = pick.sample(able, min(count, len(able)))
            rows = "".join(f'i{n},"{word}"\n' for n, word in enumerate(some))
            yield size, f"item_id,title\n{rows}".encode(encoding)


def outcome(data: bytes, encoding: str, guess: Guess) -> str:
    """Return what became of a file."""
    truth = data.decode(encoding)
    if guess.encoding is not None:
        return "right" if data.decode(guess.encoding.name, "replace") == truth else "wrong"
    readings = [data.decode(name, "replace") for name in guess.likely]
    if truth not in readings:
        return "asked, not named"
    return "asked, first" if readings[0] == truth else "asked, named"


def measure(languages: dict[str, list[str]], seed: int) -> dict[str, Counter[str]]:
    """Return the counts by size of the file."""
    pick = random.Random(seed)
    counts: dict[str, Counter[str]] = {size: Counter() for size in SIZES}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "items.csv"
        for language, words in languages.items():
            for encoding in ENCODINGS:
                for size, data in files(words, encoding, pick):
                    if _is_utf8(data):
                        continue
                    path.write_bytes(data)
                    became = outcome(data, encoding, guess_encoding(path))
                    counts[size][became] += 1
                    if became == "wrong":
                        print("wrong", language, encoding, data[14:80])
    return counts


def document(
    counts: dict[str, Counter[str]], languages: int, seed: int, every: int
) -> dict[str, Any]:
    """Return the counts as the pages of results have them."""
    names = ("right", "asked, first", "asked, named", "asked, not named", "wrong")
    rows = []
    for size, of_size in counts.items():
        total = of_size.total()
        shares = (f"{of_size[name]:,} ({of_size[name] / total:.1%})" for name in names[:-1])
        rows.append([size, f"{total:,}", *shares, f"{of_size['wrong']:,}"])
    return {
        "title": "Files without a known encoding: read, asked for, read wrong",
        "page": "ingestion",
        "date": datetime.now(UTC).date().isoformat(),
        "machine": "2 cores",
        "command": f"python -m benchmarks.encodings --seed {seed} --every {every}",
        "decisions": ["0049"],
        "columns": [
            "words in the file",
            "files",
            "read right without asking",
            "asked, the right text first",
            "asked, the right text among up to five",
            "asked, the right text not named",
            "read wrong",
        ],
        "rows": rows,
        "note": f"{languages} languages of CLDR, each in all encodings that have its letters. "
        "Western files are read without asking when no other plausible encoding has another text.",
    }


def main() -> None:
    """Measure and write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--every", type=int, default=1, help="Every so many of the languages.")
    parser.add_argument("--languages", nargs="*", help="CLDR names; writes no result.")
    given = parser.parse_args()
    languages = words_by_language()
    languages = {name: languages[name] for name in list(languages)[:: given.every]}
    if given.languages:
        languages = {name: words_by_language()[name] for name in given.languages}
    counts = measure(languages, given.seed)
    for size, of_size in counts.items():
        print(size, dict(of_size))
    if not given.languages:
        found = document(counts, len(languages), given.seed, given.every)
        RESULT.write_text(json.dumps(found, indent=2, ensure_ascii=False) + "\n", "utf-8")


def _is_written(word: str, encoding: str) -> bool:
    try:
        data = word.encode(encoding)
    except UnicodeEncodeError:
        return False
    return not data.isascii() and data.decode(encoding, "replace") == word


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


if __name__ == "__main__":
    main()

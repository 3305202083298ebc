"""Files in other encodings and with other delimiters: told, guessed, or refused."""

import csv
import io
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingest_service.readers.csv.charsets import ENCODINGS
from ingest_service.readers.csv.chunks import CsvOptions
from ingest_service.readers.csv.detection import guess_encoding
from ingest_service.readers.csv.encoding import NotUtf8Error
from ingest_service.readers.csv.reader import CsvFile
from lakehouse.contracts.mapping import FileRefusedError

WANTED = frozenset({"user_id", "item_id"})
GERMAN = "user_id,item_id\nMüller,Größe über Ägypten\nJürgen,Straße in Köln\n"
FRENCH = "user_id,item_id\nZoé,déjà vu à l’été\nFrançois,garçon – où ça\n"
POLISH = "user_id,item_id\nŁukasz,Łódź żółć źrebię\nBłażej,Gdańsk książka\n"
WORDS = "name\n" + "Łódź Kraków Gdańsk żółć źrebię\n" * 5
RUSSIAN = "user_id,item_id\nИван,Москва и Санкт-Петербург\n"
JAPANESE = "user_id,item_id\n山田太郎,東京都の商品レビュー\n"


def read(path: Path, **options: object) -> tuple[CsvFile, list[tuple[str, ...]], list[bytes]]:
    """The file, its records and their bytes."""
    rows: list[tuple[str, ...]] = []
    raw: list[bytes] = []
    with CsvFile(path, CsvOptions(wanted=WANTED, **options), chunk_bytes=64) as file:  # type: ignore[arg-type]
        for piece in file.pieces():
            chunk = file.parse(piece, file.header)
            rows += [tuple(value or "" for value in row) for row in chunk.frame.iter_rows()]
            raw += chunk.raw(range(chunk.frame.height))
    return file, rows, raw


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    rows=st.lists(
        st.tuples(*[st.text(alphabet='aé€,;"\n ß', max_size=5)] * 2), min_size=1, max_size=8
    ),
    encoding=st.sampled_from(["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252"]),
    delimiter=st.sampled_from([",", ";", "\t", "|"]),
)
def test_whatever_the_encoding_and_delimiter_the_text_and_bytes_come_back(
    tmp_path: Path, rows: list[tuple[str, str]], encoding: str, delimiter: str
) -> None:
    buffer = io.StringIO()
    writer = csv.writer(buffer, delimiter=delimiter, lineterminator="\n", quoting=csv.QUOTE_ALL)
    writer.writerows([("user_id", "item_id"), *rows])
    path = tmp_path / "rows.csv"
    path.write_bytes(buffer.getvalue().encode(encoding))
    # UTF-16 without a mark is told from its NUL bytes; one byte per character must be given.
    given_encoding = encoding if encoding == "cp1252" else None
    file, found, raw = read(path, encoding=given_encoding)

    assert (file.header, found) == (("user_id", "item_id"), rows)
    assert (file.delimiter.value, file.delimiter.confidence) == (delimiter, 1.0)
    decoded = [record.decode(file.encoding.name) for record in raw]
    parsed = [next(csv.reader(io.StringIO(r, newline=""), delimiter=delimiter)) for r in decoded]
    assert [tuple(row) for row in parsed] == rows


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        pytest.param(GERMAN, "cp1252", id="German"),
        pytest.param(GERMAN, "latin-1", id="German, Latin-1"),
        pytest.param(FRENCH, "cp1252", id="French with typographic marks"),
        pytest.param("user_id,item_id\nZoé,1\n", "latin-1", id="one letter"),
    ],
)
def test_western_file_is_told_with_a_confidence_below_one(
    tmp_path: Path, text: str, encoding: str
) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes(text.encode(encoding))
    with pytest.raises(NotUtf8Error):
        read(path)
    guess = guess_encoding(path).encoding

    assert guess is not None
    assert (guess.name, 0.75 <= guess.confidence < 1.0) == ("cp1252", True)
    _, rows, _ = read(path, encoding=guess)
    assert [",".join(row) for row in rows] == text.splitlines()[1:]


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        pytest.param(POLISH, "cp1250", id="Polish"),
        pytest.param(WORDS, "cp1250", id="Polish words that could be Western, but for their signs"),
        pytest.param("u,i\nżół,1\n", "cp1250", id="one Polish word"),
        pytest.param(RUSSIAN, "cp1251", id="Russian"),
        pytest.param(JAPANESE, "cp932", id="Japanese"),
    ],
)
def test_other_encodings_are_never_guessed_to_be_western(
    tmp_path: Path, text: str, encoding: str
) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes(text.encode(encoding))

    assert guess_encoding(path).encoding is None
    assert [",".join(row) for row in read(path, encoding=encoding)[1]] == text.splitlines()[1:]


def test_damaged_utf8_is_not_guessed_to_be_something_else(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes(GERMAN.encode() + b"M\xfcller,1\n")

    guess = guess_encoding(path)
    assert (guess.encoding, guess.likely) == (None, ())


@pytest.mark.parametrize(
    ("content", "given_encoding", "code"),
    [
        pytest.param(b"a,b\n", "klingon", "unknown_encoding", id="unknown"),
        pytest.param(b"a,b\n", "unicode_escape", "unknown_encoding", id="one that runs escapes"),
        pytest.param(b"a,b\n", "zlib", "unknown_encoding", id="no text encoding"),
        pytest.param(b"a,b\n", "\0", "unknown_encoding", id="no name at all"),
        pytest.param(b"\xef\xbb\xbfa,b\n", "cp1252", "unknown_encoding", id="mark contradicts"),
        pytest.param(
            "你好,吗".encode("utf-16-le"), "utf-16", "unknown_encoding", id="says too little"
        ),
        pytest.param(b"a,b\n1,\x81\n", "cp1252", "undecodable", id="byte it does not have"),
    ],
)
def test_encoding_that_cannot_be_is_refused(
    tmp_path: Path, content: bytes, given_encoding: str, code: str
) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes(content)
    with pytest.raises(FileRefusedError) as caught:
        read(path, encoding=given_encoding)
    assert caught.value.code == code


def test_every_documented_encoding_reads_what_it_writes(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    for encoding in sorted(ENCODINGS):
        path.write_bytes("user_id;item_id\n1;2\n".encode(encoding))
        assert read(path, encoding=encoding)[1] == [("1", "2")], encoding


@pytest.mark.parametrize(
    ("header", "delimiter", "confidence"),
    [
        pytest.param("user_id,item_id", ",", 1.0, id="comma"),
        pytest.param("user_id;item_id;a,b", ";", 1.0, id="comma within a name"),
        pytest.param('user_id|"item_id"', "|", 1.0, id="quoted name"),
        pytest.param("x;y;z", ";", 0.5, id="no name is known"),
        pytest.param("x", ",", 0.5, id="one column"),
    ],
)
def test_delimiter_is_told_from_the_header(
    tmp_path: Path, header: str, delimiter: str, confidence: float
) -> None:
    path = tmp_path / "rows.csv"
    path.write_text(f"{header}\n")
    file, _, _ = read(path)

    assert (file.delimiter.value, file.delimiter.confidence) == (delimiter, confidence)


@pytest.mark.parametrize("delimiter", ['"', "\n", "\x1f", "\0", "longer::::"])
def test_delimiter_of_no_use_is_refused(tmp_path: Path, delimiter: str) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("a,b\n")
    with pytest.raises(FileRefusedError) as caught:
        read(path, delimiter=delimiter)
    assert caught.value.code == "bad_delimiter"

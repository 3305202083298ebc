"""Files in other encodings and with other delimiters: told, guessed, or refused."""

import csv
import io
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingest_service.readers.csv.charsets import ENCODINGS, canonical_name
from ingest_service.readers.csv.chunks import CsvOptions
from ingest_service.readers.csv.detection import (
    encoding_candidates,
    guess_encoding,
    question,
)
from ingest_service.readers.csv.encoding import NotUtf8Error
from ingest_service.readers.csv.reader import CsvFile
from lakehouse.contracts.mapping import FileRefusedError
from lakehouse.contracts.reasons import FileFault

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
        pytest.param("user_id,item_id\nZoé,Größe\n", "latin-1", id="three letters"),
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
        pytest.param("u,i\nZoé,1\n", "cp1252", id="one letter that may be another elsewhere"),
        pytest.param("u,i\nŽoga,Fülbevaló\n", "iso8859-16", id="Slovene and Hungarian"),
        pytest.param("u,i\n日本語,1\n", "iso2022_jp", id="ASCII with escapes"),
        pytest.param("u,i\n中文,1\n", "hz", id="ASCII with tildes and braces"),
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


@pytest.mark.parametrize(
    ("names", "meant"),
    [
        ("cp949 uhc ks_c_5601-1987 euc-kr windows-949", "cp949"),
        ("gb2312 GB_2312-80 gbk windows-936 x-gbk", "gbk"),
        ("cp874 tis-620 windows-874 ISO-8859-11", "cp874"),
        ("big5-hkscs hkscs", "big5hkscs"),
        ("ascii US-ASCII ANSI_X3.4-1968", "ascii"),
        ("windows-31j Shift_JIS x-sjis cp932 MS_Kanji", "cp932"),
        ("latin1 ISO-8859-1 iso88591 l1 cp819", "iso8859-1"),
        ("windows-1252 Windows1252 win-1252 cp-1252 x-cp1252 1252", "cp1252"),
        ("latin-9 ISO_8859-15", "iso8859-15"),
        ("macintosh x-mac-roman MacRoman", "mac-roman"),
        ("x-mac-ce mac-centraleurope", "mac-latin2"),
        ("ibm850 IBM-850 dos-850 850", "cp850"),
        ("utf8 UTF-8 utf8mb4 utf_8_sig cp65001", "utf-8"),
        ("ISO-8859-8-I logical", "iso8859-8"),
    ],
)
def test_an_encoding_is_known_by_all_of_its_names(names: str, meant: str) -> None:
    assert {canonical_name(name) for name in names.split()} == {meant}


def declared(path: Path, text: str, charset: str) -> list[tuple[str, ...]]:
    path.write_bytes(f"u,i\n{text},1\n".encode(charset))
    return read(path, declared=charset)[1]


def test_a_declared_charset_is_taken_at_its_word(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    for text, charset in (("Dětské", "windows-1250"), ("一", "gb2312"), ("Žoga", "iso-8859-16")):
        assert declared(path, text, charset) == [(text, "1")]
    assert "一".encode("gb2312").decode("utf-8") == "һ"
    path.write_bytes("u,i\nGröße,1\n".encode())
    with pytest.raises(FileRefusedError, match="the file is UTF-8"):
        read(path, declared="windows-1250")


def test_candidates_are_named_with_a_sample_of_the_text_under_each(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes("u,i\nDětské boty,1\ntričko,2\n".encode("cp1250"))
    shown = {one.encoding: one.sample for one in encoding_candidates(path)}
    assert shown["cp1250"] == "Dětské boty"
    assert shown["cp1252"] == "Dìtské boty"
    fault = question(NotUtf8Error(FileFault.NOT_UTF8, "m", remedy="r"), encoding_candidates(path))
    assert "--encoding" in fault.remedy
    assert "cp1250" in fault.remedy
    assert "boty" not in f"{fault.message}{fault.remedy}"
    assert {"encoding": "cp1250", "sample": "Dětské boty"} in fault.details["candidates"]

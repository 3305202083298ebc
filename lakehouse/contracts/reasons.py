"""Why a row or a file was refused, and what was odd about it: the one typed catalogue of codes.

A code is part of the public interface: once released it keeps its meaning. Messages never hold a
value of the file, so that they may be logged and kept after an erasure. `docs/codes.md` is made
from here (`catalogue_page`), and a test compares the two.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class ReasonCode(StrEnum):
    """Stable codes of everything that can be wrong with a single row."""

    MISSING_VALUE = "missing_value"
    MISSING_SUBJECT = "missing_subject"
    VALUE_TOO_LONG = "value_too_long"
    UNKNOWN_INTERACTION_TYPE = "unknown_interaction_type"
    BAD_TIMESTAMP = "bad_timestamp"
    TIMESTAMP_OUT_OF_RANGE = "timestamp_out_of_range"
    NONEXISTENT_TIME = "nonexistent_time"
    BAD_NUMBER = "bad_number"
    BAD_BOOLEAN = "bad_boolean"
    BAD_JSON = "bad_json"
    WRONG_VALUES = "wrong_values"
    CONFLICTING_EVENT = "conflicting_event"
    RAGGED_ROW = "ragged_row"
    NOT_UTF8 = "not_utf8"
    NUL_BYTE = "nul_byte"
    BARE_CARRIAGE_RETURN = "bare_carriage_return"
    REPEATED_HEADER = "repeated_header"
    BAD_QUOTE = "bad_quote"
    BAD_ESCAPE = "bad_escape"
    WRONG_TYPE = "wrong_type"
    REPEATED_NAME = "repeated_name"
    BAD_AVRO = "bad_avro"
    UNKNOWN_SCHEMA = "unknown_schema"
    MESSAGE_TOO_LARGE = "message_too_large"
    TOMBSTONE = "tombstone"
    UNREADABLE_MESSAGE = "unreadable_message"
    UNKNOWN_TENANT = "unknown_tenant"
    TENANT_MISMATCH = "tenant_mismatch"
    UNSUPPORTED_EVENT = "unsupported_event"
    CONFLICTING_MESSAGE = "conflicting_message"
    NOT_COMPUTED = "not_computed"


class WarningCode(StrEnum):
    """Stable codes of what is odd about a row or a file that is taken all the same."""

    INVISIBLE_CHARACTER = "invisible_character"
    SURROUNDING_WHITE_SPACE = "surrounding_white_space"
    ROUNDED_NUMBER = "rounded_number"
    AMBIGUOUS_TIME = "ambiguous_time"
    NULL_WORD = "null_word"
    SCIENTIFIC_IDENTIFIER = "scientific_identifier"
    FUTURE_TIMESTAMP = "future_timestamp"
    SIMILAR_COLUMN = "similar_column"
    UNREAD_SETTINGS = "unread_settings"
    UNREAD_FIELD = "unread_field"
    DETECTED_ENCODING = "detected_encoding"
    DETECTED_DELIMITER = "detected_delimiter"
    NO_FINAL_LINE_END = "no_final_line_end"
    NAMELESS_COLUMN = "nameless_column"
    REPEATED_COLUMN = "repeated_column"
    SKIPPED_ROWS = "skipped_rows"
    COLUMN_BY_LIKENESS = "column_by_likeness"
    COLUMN_NAMES = "column_names"
    SKIPPED_LINES = "skipped_lines"
    DAMAGED_HEADER = "damaged_header"
    RECORD_WITHIN_TEXT = "record_within_text"
    FORMAT_MISMATCH = "format_mismatch"
    TYPED_IDENTIFIER = "typed_identifier"
    LONG_NUMBER_IDENTIFIER = "long_number_identifier"
    MERGED_CELLS = "merged_cells"
    OTHER_SHEETS = "other_sheets"


class FileFault(StrEnum):
    """Stable codes of what makes a whole file unreadable; nothing of it is stored."""

    EMPTY_FILE = "empty_file"
    NO_ROWS = "no_rows"
    NOT_UTF8 = "not_utf8"
    UNDECODABLE = "undecodable"
    UNKNOWN_ENCODING = "unknown_encoding"
    NUL_BYTE = "nul_byte"
    BAD_QUOTE = "bad_quote"
    BAD_ESCAPE = "bad_escape"
    BARE_CARRIAGE_RETURN = "bare_carriage_return"
    RAGGED_ROW = "ragged_row"
    HEADER_TOO_LONG = "header_too_long"
    RECORD_TOO_LONG = "record_too_long"
    DUPLICATE_HEADER = "duplicate_header"
    SECOND_HEADER = "second_header"
    TOO_MANY_COLUMNS = "too_many_columns"
    MISSING_COLUMNS = "missing_columns"
    UNKNOWN_MAPPED_FIELD = "unknown_mapped_field"
    BAD_DELIMITER = "bad_delimiter"
    BAD_JSON = "bad_json"
    WRONG_FORMAT = "wrong_format"
    UNSUPPORTED_FORMAT = "unsupported_format"
    DAMAGED_FILE = "damaged_file"
    PASSWORD_PROTECTED = "password_protected"  # noqa: S105 - a code
    SEVERAL_SHEETS = "several_sheets"
    UNKNOWN_SHEET = "unknown_sheet"
    NESTED_COLUMN = "nested_column"
    TOO_MANY_ROWS = "too_many_rows"
    FILE_TOO_LARGE = "file_too_large"


@dataclass(frozen=True, slots=True)
class Explanation:
    """What a code means and what the sender can do about it."""

    meaning: str
    remedy: str


EXPLANATIONS: Final[dict[ReasonCode, Explanation]] = {
    ReasonCode.MISSING_VALUE: Explanation(
        "a required field is empty or holds only white space",
        "fill it in, or give the field a constant in the source mapping",
    ),
    ReasonCode.MISSING_SUBJECT: Explanation(
        "a clickstream event has neither user_id nor anonymous_id",
        "give it one of the two: the id of the account, or the one the browser or device keeps",
    ),
    ReasonCode.VALUE_TOO_LONG: Explanation(
        "a text is longer than its field allows",
        "shorten it: 512 characters for identifiers and context, 4,096 for titles, "
        "8,192 for a url, 65,536 for attributes and properties",
    ),
    ReasonCode.UNKNOWN_INTERACTION_TYPE: Explanation(
        "the type is none of those that the tenant has declared (`event_types`), without a "
        "declaration none of view, click, like, purchase, dislike",
        "map the file's own words to these in the source mapping's `values`, or declare the type",
    ),
    ReasonCode.BAD_TIMESTAMP: Explanation(
        "the time cannot be read in the mapping's unit or format, has a 60th second, or is a "
        "number with an exponent (1.76723E+12), whose digits a spreadsheet has dropped",
        "set `timestamps` in the source mapping to the file's unit (iso, s, ms, us) or format; in "
        "a spreadsheet, give the column the format of a whole number before exporting",
    ),
    ReasonCode.TIMESTAMP_OUT_OF_RANGE: Explanation(
        "the time lies outside the tenant's time range, of a catalogue row outside 1900 to 2262 "
        "or, where times are numbers, within a year of 1970-01-01",
        "check the unit (seconds read as milliseconds fall into 1970), or widen `time_range`; one "
        "that holds 1970 lets catalogue times lie there too",
    ),
    ReasonCode.NONEXISTENT_TIME: Explanation(
        "the clocks of the mapping's `time_zone` never showed this time: they were put forward",
        "check the zone, or send the time with its offset",
    ),
    ReasonCode.BAD_NUMBER: Explanation(
        "not a finite decimal number, or too large for its field: a price has at most 14 digits "
        "before the point, a rating 12",
        "write it like 4, 4.5 or 4.5e1, or set `decimal: ','` in the source mapping for 4,5; NaN "
        "and Infinity are not numbers",
    ),
    ReasonCode.BAD_BOOLEAN: Explanation(
        "not a yes or no",
        "write true, false, t, f, yes, no, y, n, 1 or 0",
    ),
    ReasonCode.BAD_JSON: Explanation(
        "a field, or in a JSON file a whole row, is not a JSON object (RFC 8259)",
        'write an object like {"colour": "red"}; NaN, comments and trailing commas are not JSON',
    ),
    ReasonCode.WRONG_VALUES: Explanation(
        "a JSON object has values, or names, that its field does not take",
        'attributes of a user are texts, numbers, true, false or null; consent is `{"training": '
        "false}`, with true or false per purpose, purposes in lower-case letters, digits and `_`",
    ),
    ReasonCode.CONFLICTING_EVENT: Explanation(
        "an event of the same event_id but other content is already known",
        "give every event its own event_id; the row is kept in quarantine",
    ),
    ReasonCode.RAGGED_ROW: Explanation(
        "the record has more or fewer fields than the header",
        "give it the header's fields, and put quotes around texts that hold the delimiter",
    ),
    ReasonCode.NOT_UTF8: Explanation(
        "the record holds bytes that are not UTF-8, in a file that is UTF-8 elsewhere",
        "export the file as UTF-8",
    ),
    ReasonCode.NUL_BYTE: Explanation(
        "the record, or a text in it, holds a NUL byte",
        "leave it out: no text has a use for it, and programs cut texts there",
    ),
    ReasonCode.BARE_CARRIAGE_RETURN: Explanation(
        "the record holds a carriage return that ends no line",
        "write line ends as LF or CRLF, and put quotes around texts that hold others",
    ),
    ReasonCode.REPEATED_HEADER: Explanation(
        "the row repeats the header: its values are the names of their columns, in any letter case",
        "take the line out; it comes from files that were put together with their headers; if it "
        "is a row, set `header_rows: none` in the source mapping",
    ),
    ReasonCode.BAD_QUOTE: Explanation(
        "a quote is out of place or never closed on this line, or on one before it that it may "
        "belong to",
        'put the whole field in quotes and write a quote within it twice ("")',
    ),
    ReasonCode.BAD_ESCAPE: Explanation(
        "a backslash stands before a character that needs none, so what is meant is not sure",
        "write it twice, or leave `escape` out of the source mapping if it is text in this file",
    ),
    ReasonCode.WRONG_TYPE: Explanation(
        "in a JSON file a text, number or time is an object or an array",
        "send the value itself, or name the path to it in the source mapping (`user.id`)",
    ),
    ReasonCode.REPEATED_NAME: Explanation(
        "an object of a JSON file has one name twice, so what it says is not sure",
        "write every name once",
    ),
    ReasonCode.BAD_AVRO: Explanation(
        "a message begins as Avro does, and cannot be read with the schema that it names",
        "write messages with the schema whose id they carry",
    ),
    ReasonCode.UNKNOWN_SCHEMA: Explanation(
        "a message names a schema that the registry does not have, or that is not the topic's",
        "register schemas (`eta schemas register`), and write with those ids",
    ),
    ReasonCode.MESSAGE_TOO_LARGE: Explanation(
        "a message is larger than 4 MiB (a setting of the consumer)",
        "send one event per message",
    ),
    ReasonCode.TOMBSTONE: Explanation(
        "a message has a key and no value, which asks to delete",
        "send a catalogue row with is_active false, or ask for an erasure",
    ),
    ReasonCode.UNREADABLE_MESSAGE: Explanation(
        "reading a message failed in a way that the program does not know",
        "report it with the place of the message; the log has the kind of the error",
    ),
    ReasonCode.UNKNOWN_TENANT: Explanation(
        "the key of a message names no tenant that exists",
        "use the tenant's id as key, for catalogue rows `TENANT:ITEM`; "
        "make the tenant with `eta tenants add`",
    ),
    ReasonCode.TENANT_MISMATCH: Explanation(
        "the key of a message names another tenant than its content",
        "give both the same tenant; the message is kept for no tenant",
    ),
    ReasonCode.UNSUPPORTED_EVENT: Explanation(
        "a message of Segment is neither a track nor an identify call",
        "send these two alone, or leave the others in quarantine",
    ),
    ReasonCode.CONFLICTING_MESSAGE: Explanation(
        "a webhook message of the same id but another body was received before",
        "give every message a webhook-id of its own; the message is kept in quarantine",
    ),
    ReasonCode.NOT_COMPUTED: Explanation(
        "a cell of a workbook holds a formula whose result the file does not have: a program "
        "wrote it, and no spreadsheet has computed it",
        "open the workbook in a spreadsheet, save it and send it again; or write values",
    ),
}

WARNINGS: Final[dict[WarningCode, Explanation]] = {
    WarningCode.INVISIBLE_CHARACTER: Explanation(
        "an identifier holds a character that nobody sees: a control character, a zero-width or "
        "direction mark, a no-break space; it is stored as sent",
        "remove it where the data is made: the same id without it is another id",
    ),
    WarningCode.SURROUNDING_WHITE_SPACE: Explanation(
        "an identifier or an event's name begins or ends with white space; it is stored as sent",
        "remove it where the data is made: the same id without it is another id, and a mapping of "
        "the name without it is not that of this event",
    ),
    WarningCode.ROUNDED_NUMBER: Explanation(
        "a price has more than 4 decimal places and was rounded, half to even; or a rating has "
        "more than 6, or more than 15 digits: the models keep it to 6 places",
        "send no more",
    ),
    WarningCode.AMBIGUOUS_TIME: Explanation(
        "the clocks of the mapping's `time_zone` showed this time twice, when they were put back; "
        "the first of the two was taken",
        "send times with their offset, or in UTC",
    ),
    WarningCode.NULL_WORD: Explanation(
        "a text is a word that programs write where they have no value (null, None, NaN, \\N, "
        "undefined, #N/A); it is stored as sent",
        "leave the field empty where the data is made; as an identifier it would be one user or "
        "item that many are",
    ),
    WarningCode.SCIENTIFIC_IDENTIFIER: Explanation(
        "an identifier is a number with an exponent (1.23E+15), as spreadsheets write long "
        "numbers; it is stored as sent, and its other digits are lost",
        "give the column the format of a text in the spreadsheet, and export again",
    ),
    WarningCode.FUTURE_TIMESTAMP: Explanation(
        "an event or a catalogue row's `updated_at` lies more than a day after its arrival, or "
        "`available_from` more than 366 days",
        "check the sender's clock and the time's unit and offset",
    ),
    WarningCode.SIMILAR_COLUMN: Explanation(
        "a column or field that is not read has nearly the name of one that could be: letter "
        "case, white space, invisible characters, `_` and `-`, or one letter differ",
        "make sure the right one is read",
    ),
    WarningCode.UNREAD_SETTINGS: Explanation(
        "the source mapping says how lines are cut into fields, which a message has not",
        "give messages a source mapping without these settings",
    ),
    WarningCode.UNREAD_FIELD: Explanation(
        "an event or JSON row of the contract's own names has a field that the contract does not "
        "have; it is not stored",
        "leave it out, put it into `attributes` or `properties`, or name it in a source mapping",
    ),
    WarningCode.DETECTED_ENCODING: Explanation(
        "the file is not UTF-8 and does not say what it is; its encoding was detected",
        "check it, and give `encoding` with the upload or export as UTF-8",
    ),
    WarningCode.DETECTED_DELIMITER: Explanation(
        "the delimiter was told from the file, and it is not a comma",
        "give `delimiter` with the upload or in the source mapping",
    ),
    WarningCode.NO_FINAL_LINE_END: Explanation(
        "the last line has no line end: the file may be cut off there",
        "compare its length with the original's",
    ),
    WarningCode.NAMELESS_COLUMN: Explanation(
        "columns without a name are not read: those at the end of a header, which hold nothing, or "
        "columns of a sheet, with values",
        "leave the delimiters at the end of the lines out; give columns of a sheet a name",
    ),
    WarningCode.REPEATED_COLUMN: Explanation(
        "the header has a column twice that is not read",
        "give every column its own name",
    ),
    WarningCode.SKIPPED_ROWS: Explanation(
        "rows were left out: the source mapping's `values` has `skip` for their interaction type; "
        "they are stored nowhere, and the ledger does not count them",
        "nothing, if that is meant; else take the entry out of the mapping and send the file again",
    ),
    WarningCode.COLUMN_BY_LIKENESS: Explanation(
        "a column was read whose name is another one's but for letter case, white space or "
        "invisible characters; no other column has a name like it",
        "nothing, if it is meant; else name the right column in the source mapping, or set "
        "`match_columns: exact`",
    ),
    WarningCode.COLUMN_NAMES: Explanation(
        "the row's identifiers are names of columns; a value that no header has makes it a row",
        "nothing, if they are meant; else look at what wrote the row",
    ),
    WarningCode.SKIPPED_LINES: Explanation(
        "lines before the header, or behind the table, were taken for titles or totals and are not "
        "read",
        "make sure that none of them is a row; `skip_lines` or `comment` in the source mapping say "
        "which lines are none",
    ),
    WarningCode.DAMAGED_HEADER: Explanation(
        "a quote in the header is out of place; its names were read without quotes",
        "correct the header",
    ),
    WarningCode.RECORD_WITHIN_TEXT: Explanation(
        "a text of several lines has a line with all the fields of a record: a quote may be out of "
        "place, and rows may be part of that text",
        "look at the lines of that row, and write a quote within a text twice",
    ),
    WarningCode.FORMAT_MISMATCH: Explanation(
        "the file is in another format than its name or its declared type says; it was read as "
        "what its content is",
        "give it the name of what it is",
    ),
    WarningCode.TYPED_IDENTIFIER: Explanation(
        "an identifier is no text and no whole number in the file, but a date, a truth value, a "
        "number with decimals, or a number that is shown with leading zeros; it is stored as it "
        "is shown, a floating-point number without its decimals where they are zero",
        "write identifiers as texts: spreadsheets and data frames turn them into other things",
    ),
    WarningCode.LONG_NUMBER_IDENTIFIER: Explanation(
        "an identifier is a number of more than 15 digits in a spreadsheet, or a floating-point "
        "number from 2^53 on: its last digits may have been lost before the file was written; it "
        "is stored as the file has it",
        "write identifiers as texts",
    ),
    WarningCode.MERGED_CELLS: Explanation(
        "cells of the rows that were read are merged: the first of them has the value, the others "
        "were read as empty",
        "unmerge them and fill in the value in every row that it is meant for",
    ),
    WarningCode.OTHER_SHEETS: Explanation(
        "the workbook has other sheets, which were not read",
        "send each with `sheet=NAME` if it holds rows",
    ),
}

FILE_FAULTS: Final[dict[FileFault, Explanation]] = {
    FileFault.EMPTY_FILE: Explanation(
        "the file holds nothing, or only empty lines",
        "send a header and at least one row",
    ),
    FileFault.NO_ROWS: Explanation(
        "the file has a header and no rows", "add at least one row below the header"
    ),
    FileFault.NOT_UTF8: Explanation(
        "the file is not UTF-8, and what else it is could not be told with confidence; or it is "
        "cut off within a character",
        "export it as UTF-8, or give its `encoding` with the upload: the likely ones are named",
    ),
    FileFault.UNDECODABLE: Explanation(
        "the file holds bytes that its encoding does not have, or is cut off within a character",
        "give the right `encoding`, or export it as UTF-8",
    ),
    FileFault.UNKNOWN_ENCODING: Explanation(
        "the encoding that was given or declared is unknown, or the file contradicts it: its byte "
        "order mark does, or it is UTF-8",
        "give one of those in docs/ingestion.md, or none; `encoding` goes before what the request "
        "declares",
    ),
    FileFault.NUL_BYTE: Explanation(
        "the file holds a NUL byte", "export it as text without NUL bytes"
    ),
    FileFault.BAD_QUOTE: Explanation(
        "a quote is out of place or never closed, so where records end is not sure",
        'put the whole field in quotes and write a quote within it twice (""), or upload with '
        "`on_error=quarantine`; `escape` in the source mapping reads backslashes before quotes",
    ),
    FileFault.BAD_ESCAPE: Explanation(
        "a backslash stands before a character that needs none, so what is meant is not sure",
        "write it twice, or leave `escape` out of the source mapping if it is text in this file",
    ),
    FileFault.BARE_CARRIAGE_RETURN: Explanation(
        "a carriage return ends no line",
        "write line ends as LF or CRLF, and put quotes around texts that hold others",
    ),
    FileFault.RAGGED_ROW: Explanation(
        "a record has more or fewer fields than the header",
        "give every record the header's fields, or upload with `on_error=quarantine`",
    ),
    FileFault.HEADER_TOO_LONG: Explanation(
        "the header is longer than 64 KiB",
        "make sure that the file begins with the names of its columns; leave out those that are "
        "not read",
    ),
    FileFault.RECORD_TOO_LONG: Explanation(
        "a record is longer than 4 MiB", "look for a quote that is opened and never closed"
    ),
    FileFault.DUPLICATE_HEADER: Explanation(
        "the header names a column twice that is read", "give every column its own name"
    ),
    FileFault.SECOND_HEADER: Explanation(
        "a row within the file names columns as a header does, in another order or other ones, in "
        "any letter case and usual spelling, so the rows behind it would be read as something else",
        "send the rows behind it as a file of their own, with that header; if it is a row like the "
        "others, set `header_rows: none` in the source mapping",
    ),
    FileFault.TOO_MANY_COLUMNS: Explanation(
        "the header has more than 1,000 columns",
        "leave out the columns that the source mapping does not read",
    ),
    FileFault.MISSING_COLUMNS: Explanation(
        "a required or a mapped column is not in the file",
        "add it, or name the file's own columns in a source mapping of the tenant",
    ),
    FileFault.UNKNOWN_MAPPED_FIELD: Explanation(
        "the source mapping cannot be used for this data type",
        "correct it: the message says which part",
    ),
    FileFault.BAD_DELIMITER: Explanation(
        "the delimiter cannot be used",
        "use one to eight characters that are no quote and no line end",
    ),
    FileFault.BAD_JSON: Explanation(
        "a JSON array is damaged, so where its elements end is not sure",
        "correct it, or write one object per line: then wrong lines are told one by one",
    ),
    FileFault.WRONG_FORMAT: Explanation(
        "the file is not what it was sent as: its content is in another format",
        "send it to `/internal/data/uploads` (`eta upload FILE`), which finds the format out",
    ),
    FileFault.UNSUPPORTED_FORMAT: Explanation(
        "the file is of a kind that is not read: an old or binary workbook, a document, a "
        "picture, an archive",
        "save it as CSV, JSON lines, Excel workbook (.xlsx), Parquet or Avro",
    ),
    FileFault.DAMAGED_FILE: Explanation(
        "the file is cut off, damaged, or breaks the rules of its format",
        "export or send it again; if it stays so, export it as CSV",
    ),
    FileFault.PASSWORD_PROTECTED: Explanation(
        "the file is encrypted, and no key of it is asked for or kept here",
        "save it without a password",
    ),
    FileFault.SEVERAL_SHEETS: Explanation(
        "several sheets of the workbook could be meant",
        "name the one to read: `sheet=NAME`, `eta upload --sheet NAME`; send each by itself",
    ),
    FileFault.UNKNOWN_SHEET: Explanation(
        "the workbook has no sheet of the name that was given",
        "give a name as the workbook has it, or the number of the sheet, from 1",
    ),
    FileFault.NESTED_COLUMN: Explanation(
        "a column that is read as one value holds lists or records",
        "name the path to a value in the source mapping (`who.id`), or flatten the column",
    ),
    FileFault.TOO_MANY_ROWS: Explanation(
        "the file says that it has more rows than one file may have",
        "split the file",
    ),
    FileFault.FILE_TOO_LARGE: Explanation(
        "what the file holds is far larger than the file, or a part of it than may be kept in "
        "memory",
        "split it, or export it as CSV",
    ),
}

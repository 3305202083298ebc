"""The one validator: text columns of any source in, contract rows and every reason out.

It works on whole columns. Rows that are wrong cost more than rows that are right, and a batch
without a wrong row never leaves the columnar path.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

import polars as pl

from lakehouse.contracts.characters import Traits
from lakehouse.contracts.field_text import KNOWN_AT, Check, FieldText, ReadContext
from lakehouse.contracts.fields import SENT_FIELDS, FieldKind
from lakehouse.contracts.header_rows import HeaderNames, HeaderRows
from lakehouse.contracts.identity import event_ids, payload_text
from lakehouse.contracts.mapping import FieldSource, FileRefusedError, resolve
from lakehouse.contracts.parsing import read_field
from lakehouse.contracts.reasons import FileFault, ReasonCode
from lakehouse.contracts.row_issues import REASON_SCHEMA as REASON_SCHEMA
from lakehouse.contracts.row_issues import besides, divided, header_rows, named_rows
from lakehouse.contracts.sent import sent_fields
from lakehouse.contracts.tenant import DataType, SourceMapping, TenantSettings
from lakehouse.contracts.times import check_format, microseconds

_DTYPES = {
    FieldKind.TEXT: pl.String(),
    FieldKind.LABEL: pl.String(),
    FieldKind.INTERACTION_TYPE: pl.String(),
    FieldKind.JSON_OBJECT: pl.String(),
    FieldKind.TIMESTAMP: pl.Datetime("us", "UTC"),
    FieldKind.NUMBER: pl.Float64(),
    FieldKind.DECIMAL: pl.Decimal(18, 4),
    FieldKind.BOOLEAN: pl.Boolean(),
}

UNKNOWN = Traits()


@dataclass(frozen=True, slots=True)
class Validated:
    """What became of a batch of rows.

    `accepted`: every column of the contract (context unnested) plus `row`, the position in the
    batch, in the batch's order. `payload`: what each accepted row says (see `identity`).
    `is_state`: marks accepted catalogue rows that came without `updated_at`, None when none did.
    `reasons`: one row per thing that is wrong, ordered by row, then by field; no accepted row has
    any, every other row has at least one. `warnings`: the same for what is odd about rows,
    accepted or not. `skipped`: rows that the mapping leaves out, of which nothing else is said;
    None when there are none. `second_header`: the first row that names the columns in another order
    (see `header_rows`); those behind it are not what they were read as.
    """

    data_type: DataType
    accepted: pl.DataFrame
    payload: pl.Series
    is_state: pl.Series | None
    reasons: pl.DataFrame
    warnings: pl.DataFrame
    skipped: pl.Series | None = None
    second_header: int | None = None


@dataclass(frozen=True, slots=True)
class Checked:
    """What is right, wrong and odd in a batch, before identities: see `Validated`.

    `values`: the fields of the accepted rows that the file or the mapping provides, and `row`.
    """

    values: pl.DataFrame
    reasons: pl.DataFrame
    warnings: pl.DataFrame
    skipped: pl.Series | None = None
    second_header: int | None = None


def dated_states(validated: Validated, arrived_at: pl.Series) -> Validated:
    """Return rows that were refused when they arrived, their states dated by that time.

    A catalogue row without `updated_at` says what was so when it arrived. Taken in later, it must
    not replace what came in between; so it is a dated row now. `arrived_at` has a time for each
    row of the batch that was validated.
    """
    if validated.is_state is None:
        return validated
    then = arrived_at.gather(validated.accepted["row"]).cast(pl.Datetime("us", "UTC"))
    time = validated.data_type.definition.time_column
    accepted = validated.accepted.with_columns(
        pl.when(validated.is_state).then(pl.lit(then)).otherwise(time).alias(time)
    )
    payload = payload_text(validated.data_type, accepted)
    accepted = accepted.with_columns(event_ids(payload, 0, None))
    return replace(validated, accepted=accepted, payload=payload, is_state=None)


AS_SENT: Final = " as sent"
"""Ends the name of a series of texts as they were sent, of a field that the mapping reads again."""


class Validator:
    """Validates batches of one file, request or topic, all with the same columns.

    A field that no column is read for was not sent. Rows that each name their own fields
    (`has_named_fields`: JSON, Avro) did not send those that are null either.
    With `has_typed_times` texts that a reader made of times (`times.typed_times`) are times in any
    unit and format. `titles`: lines of the file that call the columns otherwise; None: rows come
    one by one with the names of their fields, and none of them is a header.
    Raises `FileRefusedError` on construction when a required field has no source
    or the mapping cannot be used. `validate` never raises for what a row holds.
    """

    def __init__(
        self,
        data_type: DataType,
        mapping: SourceMapping,
        settings: TenantSettings,
        columns: Sequence[str],
        *,
        has_named_fields: bool = False,
        has_typed_times: bool = False,
        titles: Sequence[Sequence[str]] | None = (),
    ) -> None:
        self.data_type = data_type
        self._has_named_fields = has_named_fields
        self._sources = resolve(data_type, mapping, columns)
        self._contexts = {
            source.field.name: ReadContext(
                settings.time_range,
                mapping.timestamp(source.field.name),
                mapping.decimal,
                mapping.thousands,
                has_typed_times,
                mapping.time_zone,
                settings.interaction_types,
            )
            for source in self._sources
        }
        added = [source.constant or "" for source in self._sources]
        added += [value for source in self._sources for value in source.values.values()]
        self._added = Traits.of(added)
        self._is_skipped = next(
            (one for source in self._sources if (one := source.is_skipped()) is not None), None
        )
        fields = data_type.definition.fields
        self._header_names = (
            HeaderNames(columns, self._sources, fields, titles)
            if titles is not None and mapping.header_rows != "none"
            else None
        )
        self._refuse_bad_formats()
        self._checks: list[tuple[FieldSource, Check]] = []
        self._oddities: list[tuple[FieldSource, Check]] = []
        self._values: list[pl.Expr] = []
        self._parsed: list[pl.Expr] = []
        for source in self._sources:
            field = source.field
            reading = read_field(field, FieldText(field.name), self._contexts[field.name])
            self._values.append(reading.value.alias(field.column))
            self._parsed.extend(reading.parsed)
            self._checks.extend((source, check) for check in reading.checks)
            self._oddities.extend((source, odd) for odd in reading.warnings)
        self._checks.extend(_subject_checks(data_type, self._sources))

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of the file that are read; the others need not be parsed."""
        return tuple(dict.fromkeys(s.column for s in self._sources if s.column is not None))

    @property
    def columns_by_likeness(self) -> tuple[tuple[str, str], ...]:
        """Names that the mapping reads, with columns of the file that have nearly that name."""
        return tuple(
            (source.asked, source.column)
            for source in self._sources
            if source.column is not None and source.asked not in ("", source.column)
        )

    def subjects(self, frame: pl.DataFrame) -> list[pl.Series]:
        """Return the texts of a batch that name a person, one series per field that can.

        Where the mapping reads values as others, another one has the texts as they were sent.
        """
        subjects = self.data_type.definition.subjects
        sources = [s for s in self._sources if s.field.name in subjects]
        texts = {s.field.name: s.text() for s in sources}
        texts |= {
            f"{s.field.name}{AS_SENT}": pl.col(s.column)
            for s in sources
            if s.values and s.column is not None
        }
        return frame.with_columns(**texts).select(texts.keys()).get_columns()

    def validate(
        self,
        frame: pl.DataFrame,
        known_at: datetime,
        traits: Traits = UNKNOWN,
        faults: pl.DataFrame | None = None,
    ) -> Validated:
        """Validate a batch: `frame` has (at least) `columns`, all strings of these `traits`.

        `known_at` (UTC) becomes the `updated_at` of catalogue rows that have none. `faults` are
        reasons, and warnings, that the reader found. A reason of a whole row (no column) stands for
        whatever else the row, which holds nulls, would be refused for; one of a column for whatever
        else the column would be.
        """
        checked = self.check(frame, known_at, traits, faults)
        traits &= self._added
        values = checked.values
        if self.data_type.definition.carried:
            sent = sent_fields(
                self.data_type, self._sources, frame, is_by_row=self._has_named_fields
            )
            values = values.with_columns(sent.gather(values["row"]).alias(SENT_FIELDS))
        payload = payload_text(self.data_type, values, is_plain=traits.is_plain)
        is_state = self._states(values)
        accepted = values.with_columns(
            *self._absent(values), _ids(values, payload, known_at, is_state)
        )
        if is_state is not None:
            now = pl.lit(known_at).cast(pl.Datetime("us", "UTC"))
            time = self.data_type.definition.time_column
            accepted = accepted.with_columns(pl.col(time).fill_null(now))
        return Validated(
            *(self.data_type, accepted, payload, is_state, checked.reasons, checked.warnings),
            skipped=checked.skipped,
            second_header=checked.second_header,
        )

    def check(
        self,
        frame: pl.DataFrame,
        known_at: datetime,
        traits: Traits = UNKNOWN,
        faults: pl.DataFrame | None = None,
    ) -> Checked:
        """Read and judge a batch as `validate` does, without the identities of its events."""
        traits &= self._added
        oddities = [(s, odd) for s, odd in self._oddities if odd.is_possible(traits)]
        checks = [(s, check) for s, check in self._checks if check.is_possible(traits)]
        read = self._read(frame, known_at, checks, oddities, is_solid=traits.is_solid)
        values = read.select("row", *(source.field.column for source in self._sources))
        reasons = _found(read, "bad", checks)
        warnings = _found(read, "odd", oddities)
        skipped = self._skipped(frame)
        headers = self._headers(frame, reasons, skipped)
        if len(headers.named):
            warnings = pl.concat([warnings, named_rows(headers.named)])
            warnings = warnings.sort("row", maintain_order=True)
        faults, noticed = divided(faults, header_rows(headers.repeated, headers.other))
        if faults.height:
            reasons = pl.concat([besides(reasons, faults), faults])
            reasons = reasons.sort("row", maintain_order=True)
            warnings = besides(warnings, faults)
        if noticed.height:
            warnings = pl.concat([warnings, besides(noticed, faults)])
            warnings = warnings.sort("row", maintain_order=True)
        if skipped is not None:
            is_left = ~pl.col("row").is_in(skipped.implode())
            values, reasons, warnings = (one.filter(is_left) for one in (values, reasons, warnings))
        if reasons.height:
            values = values.filter(~pl.col("row").is_in(reasons["row"].implode()))
        return Checked(values, reasons, warnings, skipped, headers.second)

    def second_header(self, cells: pl.DataFrame) -> int | None:
        """Return the first of records that is another header; `cells` are texts, as they stand.

        For records that could not be read as rows, and may tell what those behind them are.
        """
        names = self._header_names
        return None if names is None else names.among_unread(cells).second

    def _headers(
        self, frame: pl.DataFrame, reasons: pl.DataFrame, skipped: pl.Series | None
    ) -> HeaderRows:
        if self._header_names is None:
            return HeaderRows()
        return self._header_names.among(frame, reasons, skipped)

    def _skipped(self, frame: pl.DataFrame) -> pl.Series | None:
        if self._is_skipped is None:
            return None
        mask = frame.select(is_skipped=self._is_skipped.or_(pl.lit(value=False)))["is_skipped"]
        if len(mask) != frame.height:  # a constant
            mask = mask.new_from_index(0, frame.height)
        return mask.arg_true().cast(pl.UInt32) if mask.any() else None

    def _read(
        self,
        frame: pl.DataFrame,
        known_at: datetime,
        checks: Sequence[tuple[FieldSource, Check]],
        oddities: Sequence[tuple[FieldSource, Check]],
        *,
        is_solid: bool,
    ) -> pl.DataFrame:
        """Return `row`, every field's value, and a column of marks per check and oddity."""
        texts = frame.select(
            form
            for source in self._sources
            for form in FieldText(source.field.name).prepare(source.text(), is_solid=is_solid)
        )
        texts = texts.with_columns(
            pl.lit(microseconds(known_at)).alias(KNOWN_AT),
            *(FieldText(source.field.name).find_blank() for source in self._sources),
        )
        texts = texts.with_columns(self._parsed)
        marks = [check.is_bad.alias(f"bad{n}") for n, (_, check) in enumerate(checks)]
        marks += [odd.is_bad.alias(f"odd{n}") for n, (_, odd) in enumerate(oddities)]
        return texts.lazy().select(pl.row_index("row"), *self._values, *marks).collect()

    def _absent(self, values: pl.DataFrame) -> list[pl.Expr]:
        """Return the contract's columns that the file does not have, as nulls."""
        return [
            pl.lit(None, dtype=_DTYPES[field.kind]).alias(field.column)
            for field in self.data_type.definition.fields
            if field.column not in {*values.columns, "event_id"}
        ]

    def _states(self, values: pl.DataFrame) -> pl.Series | None:
        definition = self.data_type.definition
        if not definition.is_state:
            return None
        if definition.time_column not in values.columns:
            return pl.repeat(value=True, n=values.height, dtype=pl.Boolean, eager=True)
        missing = values[definition.time_column].is_null()
        return missing if missing.any() else None

    def _refuse_bad_formats(self) -> None:
        for name, context in self._contexts.items():
            problem = check_format(context.timestamp)
            if problem is not None:
                raise FileRefusedError(
                    FileFault.UNKNOWN_MAPPED_FIELD,
                    f"the source mapping's format of {name} cannot be used: {problem}",
                    remedy="write it with the strftime codes of chrono, for example %d/%m/%Y %H:%M",
                    columns=[name],
                )


def _found(
    read: pl.DataFrame, prefix: str, checks: Sequence[tuple[FieldSource, Check]]
) -> pl.DataFrame:
    """Return one row per mark that is set, ordered by row, then as the checks are."""
    found = [REASON_SCHEMA.to_frame()]
    for n, (source, check) in enumerate(checks):
        marks = read.get_column(f"{prefix}{n}")
        if not marks.any():
            continue
        rows = marks.arg_true().cast(pl.UInt32).alias("row")
        found.append(
            rows.to_frame().with_columns(
                code=pl.lit(check.code.value),
                field=pl.lit(source.field.name),
                column=pl.lit(source.label),
                message=pl.lit(check.message),
            )
        )
    return pl.concat(found).sort("row", maintain_order=True)


def _subject_checks(
    data_type: DataType, sources: Sequence[FieldSource]
) -> list[tuple[FieldSource, Check]]:
    """Return the check that spans fields: one of several subjects must be there."""
    subjects = data_type.definition.subjects
    present = [source for source in sources if source.field.name in subjects]
    if len(subjects) < 2:
        return []
    is_bad = pl.all_horizontal(FieldText(source.field.name).blank for source in present)
    message = f"neither {' nor '.join(subjects)} has a value"
    return [(present[0], Check(ReasonCode.MISSING_SUBJECT, is_bad, message))]


def _ids(
    values: pl.DataFrame, payload: pl.Series, known_at: datetime, is_state: pl.Series | None
) -> pl.Series:
    """The senders' ids, and computed ones where they gave none."""
    if "event_id" not in values.columns:
        return event_ids(payload, microseconds(known_at), is_state)
    given = values.get_column("event_id")
    if not given.null_count():
        return given
    computed = event_ids(payload, microseconds(known_at), is_state)
    return values.select(pl.coalesce("event_id", pl.lit(computed)).alias("event_id")).to_series()

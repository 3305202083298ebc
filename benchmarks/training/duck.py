"""The models' own SQL in DuckDB, on the very files that Spark read.

sqlglot translates what dbt compiled; what it leaves are the functions below. One stands in:
DuckDB has no `xxhash64`, so `hash` draws other negatives, as many and by the same rules.
Timestamps lose their zone (all are UTC), which DuckDB computes with faster.
"""

import json
from pathlib import Path
from time import perf_counter
from typing import Any, Final

import duckdb
import sqlglot
from deltalake import DeltaTable
from sqlglot import exp
from sqlglot.optimizer.annotate_types import annotate_types
from sqlglot.optimizer.qualify import qualify

from benchmarks.training.models import Model
from lakehouse.settings import LakeSettings

SHIMS: Final = (
    "create macro xxhash64(text) as (hash(text) >> 1)::bigint",
    "create macro pmod(dividend, divisor) as ((dividend % divisor) + divisor) % divisor",
)
VIEWS_OF_EXAMPLES: Final = (
    "create view training.positives as select * from training.training_data where label = 1",
    "create view training.sampled_negatives as select *, anchor_item_id as positive_item_id "
    "from training.training_data where negative_type = 'sampled'",
)
"""What is a view in Spark too and so has no files."""
CORES: Final = 2
TOLERANCE: Final = 1e-6
"""Spark divides decimals to six digits where their precision is used up, DuckDB as doubles."""

Schema = dict[str, Any]
"""Spark type by schema, table and column."""


def translated(sql: str, tables: Schema) -> str:
    """Return Spark SQL as DuckDB's; `tables` holds Spark types, by schema, table and column.

    A sum of whole numbers is a BIGINT as in Spark, where DuckDB would go on with 128 bits.
    """
    statement = qualify(
        sqlglot.parse_one(sql, read="spark"),
        schema=tables,
        dialect="spark",
        quote_identifiers=False,
    )
    typed = annotate_types(statement, schema=tables, dialect="spark")
    for total in list(typed.find_all(exp.Sum)):
        if total.is_type("bigint"):
            whole = total.parent if isinstance(total.parent, exp.Window) else total
            whole.replace(exp.cast(whole.copy(), "bigint"))
    return typed.transform(_without_zone).sql("duckdb", comments=False)


def _without_zone(node: exp.Expr) -> exp.Expr:
    if isinstance(node, exp.DataType) and node.this == exp.DType.TIMESTAMPTZ:
        return exp.DataType.build("timestamp")
    return node


class Peer:
    """DuckDB with a view per Delta table; each call of `run` writes what the model would.

    It reads files whole, so the tables must hold no deletion vectors (none does after a rebuild).
    """

    def __init__(self, settings: LakeSettings, folder: Path, cores: int = CORES) -> None:
        self._settings = settings
        self._folder = folder
        self._tables: Schema = {}
        folder.mkdir(parents=True, exist_ok=True)
        self.connection = duckdb.connect()
        self.connection.execute(f"set threads = {cores}")
        self.connection.execute(f"set temp_directory = '{folder}'")
        for shim in SHIMS:
            self.connection.execute(shim)
        self.register()

    def close(self) -> None:
        """End DuckDB and give its memory back."""
        self.connection.close()

    def register(self) -> None:
        """Point the views at the newest versions of all tables of the lake."""
        for name in self._tables:
            self.connection.execute(f"drop schema {name} cascade")
        self._tables = {}
        for log in sorted(Path(self._settings.lake).glob("*/*/_delta_log")):
            schema, table = log.parts[-3:-1]
            if schema not in self._tables:
                self.connection.execute(f"create schema {schema}")
            held = DeltaTable(str(log.parent))
            columns = {
                field["name"]: _spark_type(field["type"])
                for field in json.loads(held.schema().to_json())["fields"]
            }
            self._tables.setdefault(schema, {})[table] = columns
            rows = _rows(held, columns)
            self.connection.execute(f"create view {schema}.{table} as {rows}")
        if "training_data" in self._tables.get("training", {}):
            for view in VIEWS_OF_EXAMPLES:
                self.connection.execute(view)

    def run(self, model: Model) -> float:
        """Write the model's rows as one Parquet file; return the seconds it took."""
        sql = translated(model.sql, self._tables)
        started = perf_counter()
        self.connection.execute(
            f"copy ({sql}) to '{self._output(model)}' (format parquet, compression snappy)"
        )
        return perf_counter() - started

    def row_counts(self, model: Model, tenant_id: str) -> tuple[int, int]:
        """Return a tenant's rows as DuckDB and as Spark computed them."""
        ours, theirs = (
            int(self.value(f"select count(*) from {source} where tenant_id = $t", tenant_id))
            for source in (f"'{self._output(model)}'", model.table)
        )
        return ours, theirs

    def differing_rows(self, model: Model, tenant_id: str) -> int:
        """Return how many of a tenant's keys have another value, or none, in one of the results.

        Doubles count as equal within 1e-6 of the larger of 1 and themselves.
        """
        schema, table = model.table.split(".")
        key = ", ".join(model.key)
        tests = ["is_in_duck is null", "is_in_spark is null"] + [
            _differ(f"a.{name}", f"b.{name}", kind)
            for name, kind in self._tables[schema][table].items()
            if name not in model.key
        ]
        ours, theirs = (
            f"(select *, true as is_in_{name} from {source} where tenant_id = $t)"
            for name, source in (("duck", f"'{self._output(model)}'"), ("spark", model.table))
        )
        joined = f"{ours} as a full join {theirs} as b using ({key})"
        return int(
            self.value(f"select count(*) from {joined} where {' or '.join(tests)}", tenant_id)
        )

    def value(self, query: str, tenant_id: str) -> Any:
        """Return the one value of a query about a tenant, `$t`."""
        row = self.connection.execute(query, {"t": tenant_id}).fetchone()
        assert row is not None
        return row[0]

    def _output(self, model: Model) -> Path:
        return self._folder / f"{model.name}.parquet"


def _differ(ours: str, theirs: str, kind: str) -> str:
    if kind == "double":
        near = f"abs({ours} - {theirs}) <= {TOLERANCE} * greatest(1, abs({theirs}))"
        return f"not coalesce({near}, {ours} is null and {theirs} is null)"
    return f"{ours} is distinct from {theirs}"


def _rows(table: DeltaTable, columns: dict[str, str]) -> str:
    """Return a query of a Delta table's rows, its times as microseconds without a zone."""
    files = ", ".join(f"'{uri}'" for uri in table.file_uris())
    if not files:
        nothing = (f"null::{_duck_type(kind)} as {name}" for name, kind in columns.items())
        return f"select {', '.join(nothing)} from range(0)"
    partitions = table.metadata().partition_columns
    named = []
    for name, kind in columns.items():
        if name in partitions:
            named.append(f"{name}::{_duck_type(kind)} as {name}")
        elif kind == "timestamp":
            named.append(f"make_timestamp(epoch_us({name})) as {name}")
        else:
            named.append(name)
    options = "hive_partitioning = true, hive_types_autocast = false"
    return f"select {', '.join(named)} from read_parquet([{files}], {options})"


def _duck_type(spark_type: str) -> str:
    kind = exp.DataType.build(spark_type, dialect="spark")
    return kind.transform(_without_zone).sql("duckdb")


def _spark_type(kind: Any) -> str:
    """Return the SQL name of a type of a Delta table's schema."""
    if isinstance(kind, str):
        return {"long": "bigint", "integer": "int", "short": "smallint"}.get(kind, kind)
    if kind["type"] == "array":
        return f"array<{_spark_type(kind['elementType'])}>"
    if kind["type"] == "map":
        return f"map<{_spark_type(kind['keyType'])}, {_spark_type(kind['valueType'])}>"
    fields = (f"{field['name']}: {_spark_type(field['type'])}" for field in kind["fields"])
    return f"struct<{', '.join(fields)}>"

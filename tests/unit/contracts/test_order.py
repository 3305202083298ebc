"""The order of arrival, in Python and in SQL."""

import re
from pathlib import Path

import duckdb
import numpy as np
import polars as pl
import sqlglot
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest_service.pipeline.places import line_refs
from lakehouse.contracts.order import arrival, positions
from lakehouse.storage.stream_offsets import Partition

MACRO = Path(__file__).parents[3] / "macros" / "incremental" / "arrival.sql"
NUMBERS = st.integers(0, 2**63 - 1)
PLACES = st.one_of(
    st.builds("{}:{}".format, st.sampled_from(["line", "event", "row"]), NUMBERS),
    st.builds(lambda n: Partition("orders-2", 7).place(n), NUMBERS),
    st.sampled_from(["", "ledger", "line:", "9" * 25, "line:-4", "line:7 ", "line:\u0663"]),
)


def sql_position() -> str:
    """The macro's expression over a column `place`, as DuckDB says it."""
    body = re.search(r"macro position.*?#\}\s*(.*?)\s*\{%- endmacro", MACRO.read_text(), re.DOTALL)
    assert body is not None
    expression = body[1].replace("{{ source_ref }}", "place")
    return sqlglot.transpile(expression, read="spark", write="duckdb")[0]


@settings(max_examples=60, deadline=None)
@given(st.lists(PLACES, min_size=1))
def test_the_macro_and_the_function_find_the_same_position(places: list[str]) -> None:
    rows = pl.DataFrame({"row": range(len(places)), "place": places})
    found = duckdb.sql(f"select {sql_position()} as position from rows order by row").fetchall()
    assert [one for (one,) in found] == positions(rows["place"]).to_list()


def test_positions_are_numbers_in_every_form_of_a_place() -> None:
    places = ["line:9", "line:10", "event:0000000011", "topic-5:3:0000000000000000012", "ledger"]
    assert positions(pl.Series(places)).to_list() == [9, 10, 11, 12, -1]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 10**10 - 1), min_size=2, unique=True))
def test_written_places_sort_as_texts_too(lines: list[int]) -> None:
    refs = pl.Series(line_refs(np.array(lines, dtype=np.int64))).cast(pl.String)
    assert refs.sort().to_list() == [f"line:{line:010}" for line in sorted(lines)]
    assert positions(refs).to_list() == lines


def test_rows_of_one_moment_are_ordered_by_the_number_of_their_place() -> None:
    places = ["line:10", "line:9", "line:100"]
    rows = pl.DataFrame({"known_at": [1, 1, 1], "batch_id": ["b"] * 3, "source_ref": places})
    assert rows.sort(arrival())["source_ref"].to_list() == ["line:9", "line:10", "line:100"]

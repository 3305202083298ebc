"""The models on local Spark beside the same SQL in DuckDB and the original cross-join way."""

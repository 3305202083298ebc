"""Reading rows from Parquet: row groups as they are stored, a piece at a time."""

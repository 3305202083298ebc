"""Reading rows from files that know columns and types: workbooks and Parquet."""

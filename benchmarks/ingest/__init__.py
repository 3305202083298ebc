"""The upload path beside bare polars and delta-rs on the same file."""

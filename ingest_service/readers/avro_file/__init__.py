"""Reading rows from Avro object container files, block after block."""

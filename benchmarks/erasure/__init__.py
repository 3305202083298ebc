"""What an erasure costs on a large raw table, beside one rewrite of the whole table."""

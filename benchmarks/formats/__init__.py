"""What a row costs in every format that is read."""

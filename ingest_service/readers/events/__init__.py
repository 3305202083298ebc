"""Bodies of event requests, read one by one or many at once."""

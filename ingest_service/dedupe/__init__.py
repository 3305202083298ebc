"""Which rows are already known: an exact check within a bounded window of recent events."""

"""Looks at the start of a file and says what it is, and how eta would read it; stores nothing."""

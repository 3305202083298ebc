"""Mutations of files and messages against the parsers that read what strangers send."""

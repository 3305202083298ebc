"""The thin service that turns uploads and events into raw Delta rows."""

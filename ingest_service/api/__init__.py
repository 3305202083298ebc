"""The HTTP side of ingestion: one router per source."""

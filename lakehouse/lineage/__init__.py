"""Events of OpenLineage: what was read, and what was made of it, by version (docs/adr/0068)."""

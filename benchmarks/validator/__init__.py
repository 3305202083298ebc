"""The validator beside polars computing the same predicates as one expression."""

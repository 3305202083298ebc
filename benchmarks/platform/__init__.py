"""Measures what many tenants cost where no model runs."""

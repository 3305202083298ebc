"""Generated tenants that look real: a shop and a news site, the same bytes for the same seed."""

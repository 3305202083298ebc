"""The page on which a tenant uploads files."""

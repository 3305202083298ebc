"""Reading CSV strictly (RFC 4180), fast, in chunks, with true line numbers."""

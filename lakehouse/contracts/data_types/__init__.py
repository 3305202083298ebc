"""The kinds of rows that a tenant may send: a module each, called as the type and its raw table."""

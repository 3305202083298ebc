"""Reading rows from JSON: one array of objects, or one object per line."""

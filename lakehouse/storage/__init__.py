"""The lake's tables: where they stand, how they are made, appended to and read."""

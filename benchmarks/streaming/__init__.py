"""How fast and how soon messages become readable rows, beside a bare loop and Spark."""

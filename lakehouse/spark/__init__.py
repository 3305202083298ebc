"""Everything Spark needs before it starts: a Java, the Delta jars, a configuration."""

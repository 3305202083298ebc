"""Kafka's topics into raw Delta tables, exactly once."""

"""Kafka: topics into raw Delta tables, exactly once, and the library that writes to the topics."""

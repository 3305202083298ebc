"""What a service does with files that are too large: memory stays flat, bombs are stopped."""

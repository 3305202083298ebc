"""The `eta` command: one module per command or group, nothing heavy is imported too early."""

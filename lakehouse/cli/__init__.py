"""The `eta` command: one module per command or group, nothing heavy imported before it is needed."""

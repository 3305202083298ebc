"""The `eta` command: one module per command or group, loaded when it is called."""

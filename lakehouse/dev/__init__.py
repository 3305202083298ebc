"""Servers for development and tests, as plain processes of this machine: no Docker needed."""

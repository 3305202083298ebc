"""Uploaded files: what is asked of them, and how they are kept until they are stored."""

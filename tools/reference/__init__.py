"""The generated pages of the documentation; `python -m tools.reference` writes them.

Settings, commands and metrics are described once, in the code. The pages are made from it, so that
they are complete and say what the code says; a test fails while one of them is stale.
"""

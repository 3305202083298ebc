"""Copies of a published training set in the formats that trainers read, one module per format."""

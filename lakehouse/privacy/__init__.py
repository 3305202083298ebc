"""What protects a person: the suppression list, erasure, export."""

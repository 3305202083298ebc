"""What can be learned from an evaluation snapshot: a factorisation against popularity."""

"""An outside proof of erasure: hostile people in, an erasure, and a reader that trusts nobody."""

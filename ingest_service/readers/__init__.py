"""What turns bytes into rows of texts, one reader per format."""

"""What becomes of rows, whatever source they came from."""

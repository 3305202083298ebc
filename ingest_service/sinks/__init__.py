"""Where accepted rows go: one Protocol, a Delta sink for real and a memory sink for tests."""

"""Events over HTTP: how many per second, how soon they are durable, and what a loud tenant does."""

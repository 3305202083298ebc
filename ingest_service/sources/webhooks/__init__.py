"""Messages that other systems send: signed, known when they come again, read by an adapter."""

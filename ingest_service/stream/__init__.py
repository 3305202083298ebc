"""The commands around Kafka's topics, and the library that writes to them."""

"""Events that arrive one by one or in small batches: many requests, one commit."""

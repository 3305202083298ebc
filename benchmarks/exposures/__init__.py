"""What negatives that were shown are worth beside uniform ones, on logs with impressions."""

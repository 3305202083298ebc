"""What is told of runs of the models, of what they publish, and of exports (docs/lineage.md)."""

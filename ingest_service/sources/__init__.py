"""The loops around the pipeline: where rows come from and who is answered."""

"""What a row must look like: schemas, the validator, tenant settings and source mappings."""

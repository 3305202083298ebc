"""From raw rows to training sets: runs dbt and tells what came out."""

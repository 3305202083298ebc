"""What a task of a model costs beside the model, by where dbt runs."""

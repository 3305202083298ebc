"""What the commands of `eta`, and through them the DAGs, do: functions that print nothing."""

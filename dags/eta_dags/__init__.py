"""What the DAG files share. Runs in Airflow's environment: it never imports `lakehouse`."""

"""Who may send what: tenants, their settings, API keys and jobs, in one small SQL database."""

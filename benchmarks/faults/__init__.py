"""What other tenants notice while one tenant's requests fail at each step."""

"""Whether a tenant's data is fit to be published: Soda's checks, a verdict per tenant."""

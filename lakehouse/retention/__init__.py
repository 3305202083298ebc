"""Storage tiers and expiry: the policy compiled to lifecycle rules, and rows deleted by age."""

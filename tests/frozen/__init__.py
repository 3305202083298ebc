"""Lakes as releases left them, packed: today's code must open, upgrade and go on with each."""

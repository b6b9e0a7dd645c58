"""Makes live equal to desired."""

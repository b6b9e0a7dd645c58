"""Git, and files as git sees them."""

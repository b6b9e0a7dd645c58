"""What a person does to sprocs, for every front end."""

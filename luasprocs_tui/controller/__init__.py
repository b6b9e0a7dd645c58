"""What a key that changes something leads to: a question, the operation in a thread, and what came of it."""

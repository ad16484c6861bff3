"""`tabur doctor`: looks for what is known to go wrong, and says what to do about it."""

"""How jobs are declared, made pending, looked at, and what they see while they run."""

"""What happened while the user was elsewhere: the bell."""

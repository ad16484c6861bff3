"""Speaking with what is outside: mail and HTTP, by the standard library."""

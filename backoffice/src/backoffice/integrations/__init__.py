"""The world outside: files of other programs."""

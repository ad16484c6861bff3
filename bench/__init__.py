"""Measures Tabur, the bare stores and the rivals on the same work. `make bench` runs it."""

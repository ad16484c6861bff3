"""Bare loops: what each store and Python can do with Tabur's own rows, and no library."""

"""The back office of a shop, built on Tabur's public API alone."""

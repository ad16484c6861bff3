"""Stores: how jobs are kept. Nothing but `tabur.app` and `tabur.testing` imports a driver."""

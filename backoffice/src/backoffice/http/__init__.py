"""The web side: the ASGI application around the modules' routes."""

"""Businesses, their users, and who is signed in."""

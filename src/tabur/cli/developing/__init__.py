"""`tabur dev` and `queue:listen`: programs that are started anew when code changes."""

"""The way of a pending job into its store, in a transaction of its own or of the caller."""

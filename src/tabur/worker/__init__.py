"""How jobs run: the supervisor, its children, and the one straight path of a run."""

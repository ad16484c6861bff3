"""Files that let a machine keep workers and a scheduler running, and the set-up of a machine."""

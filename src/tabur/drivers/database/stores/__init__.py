"""One folder for each engine that the database driver runs on."""

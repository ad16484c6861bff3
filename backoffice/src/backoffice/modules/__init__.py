"""One folder per subject; they meet through `api` and through events mapped in wiring."""

"""What keeps a store tidy: removing what is past its time."""

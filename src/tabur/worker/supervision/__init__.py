"""What keeps worker processes alive, ends those that must, and mends what they leave."""

"""What an operator sees and does: the one read API and the one action API that commands share."""

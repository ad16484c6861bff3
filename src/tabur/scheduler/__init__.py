"""Jobs that are due again and again: how they are declared, decided and looked after."""

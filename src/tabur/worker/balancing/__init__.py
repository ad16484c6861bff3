"""How many processes each queue has, when one supervisor works several."""

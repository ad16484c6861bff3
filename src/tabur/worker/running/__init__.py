"""How jobs run inside a worker process: between the store and the slots, from claim to outcome."""

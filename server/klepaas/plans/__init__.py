"""Plans: what a call would change, as it is described, stored, confirmed and used once."""

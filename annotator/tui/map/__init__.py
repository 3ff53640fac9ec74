"""The map of the pool: its items as points of a picture, from which pages open."""

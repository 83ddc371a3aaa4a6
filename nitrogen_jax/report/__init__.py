"""Drawings of what a policy does, for the terminal and as pictures."""

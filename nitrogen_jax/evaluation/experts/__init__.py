"""Scripted players of tasks: they may look at what the game tells, and not at the picture alone."""

"""Unmodified Linux games, frozen and stepped frame by frame."""

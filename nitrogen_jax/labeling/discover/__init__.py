"""Overlays whose skin is not known: found by how they behave, read by a skin made of the video."""

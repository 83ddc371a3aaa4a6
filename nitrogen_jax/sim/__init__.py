"""Unmodified Linux games, frozen and stepped frame by frame.

Importing it registers the environments: gymnasium.make("NitroGen/SuperTux-v0"), or at once
gymnasium.make("nitrogen_jax.sim:NitroGen/SuperTux-v0").
"""

from nitrogen_jax.sim import catalogue

catalogue.register()

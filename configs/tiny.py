"""A policy for laptops and tests: 64 px, 1.4 M parameters, everything else as in the released one.

    nitrogen predict --policy random:configs/tiny.py --images tests/data/frame.png

Milliseconds a chunk on one CPU core. action_shift is 1: it is meant for recordings of our own, in
which a frame already shows the action of its step.
"""

from nitrogen_jax.models.configs import PolicyConfig
from nitrogen_jax.models.presets import policy_preset


def config() -> PolicyConfig:
    return policy_preset("tiny")

"""The released sizes: SigLIP 2 large at 256 px, 4-layer mixer, 8-layer DiT, 493,631,513 parameters.

    nitrogen info random:configs/nitrogen.py
    nitrogen bench sample --policy random:configs/nitrogen.py --naive

250 GFLOP for a chunk of 18 actions with everything cached, 717 as the original computes it.
"""

from nitrogen_jax.models.configs import PolicyConfig
from nitrogen_jax.models.presets import policy_preset


def config() -> PolicyConfig:
    return policy_preset("nitrogen")

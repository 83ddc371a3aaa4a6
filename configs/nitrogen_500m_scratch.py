"""Training on one game from scratch: `nitrogen_500m_finetune` without pre-training on games.

    nitrogen train --config configs/nitrogen_500m_scratch.py --out runs/mygame_scratch

Everything but the start is that of configs/nitrogen_500m_finetune.py, so that the two can be
compared at the same data and compute. The vision tower is SigLIP 2, as at the start of
pre-training, and the rest is random; --start.vision=None makes all of it random.

Expected: worse than fine-tuning. The paper has fine-tuning ahead by up to 52 % relative success
(combat, 30 hours of the game), up to 25 % (navigation) and 10 % on average (a roguelike). Nothing
has been measured yet.
"""

import dataclasses
from pathlib import Path

from nitrogen_jax.config import load
from nitrogen_jax.training.start import Start
from nitrogen_jax.training.train_config import TrainConfig


def config() -> TrainConfig:
    finetune = load(Path(__file__).with_name("nitrogen_500m_finetune.py"))
    return dataclasses.replace(finetune, start=Start(vision="siglip2-large-patch16-256"))

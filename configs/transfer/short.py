"""The transfer study in the small, to see that all of it works; its numbers mean nothing.

    launch/transfer.sh --recipe configs/transfer/short.py --out runs/transfer-short

The same as `launch/transfer.sh --short`.
"""

import dataclasses
from pathlib import Path

from nitrogen_jax.chain.transfer import Study
from nitrogen_jax.config import load


def config() -> Study:
    return dataclasses.replace(
        load(Path(__file__).with_name("study.py")),
        played=("vizdoom/my-way-home", "vizdoom/health-gathering"),
        pretrain_minutes=0.1,
        minutes=(0.1,),
        pretrain_steps=20,
        steps=10,
        episodes=1,
        train=(
            "--task.policy.vision.depth=1",
            "--task.policy.dit.depth=1",
            "--task.draws_per_frame=1",
        ),
    )

"""The policy of the quick start: a real game, learnt from a few minutes of labelled video.

    nitrogen eval record vizdoom/defend-the-line --minutes 3 --overlay --overlay-width 0.3 \\
        --corner bottom-left bottom-right --out recording/
    nitrogen label run --videos recording/videos --skins recording/skins --out labels/
    nitrogen data build --labels labels/ --videos recording/videos --out records/ --size 64 \\
        --horizon 4 --frame-stride 1 --min-active 0 --min-confidence 0.5 --split val=0.1
    nitrogen train --config configs/quickstart.py --out runs/doom --data.records=records/
    nitrogen eval runs/doom --task vizdoom/defend-the-line --execute 2 --seed 1 --out evals/doom

`nitrogen quickstart` runs these and writes a page about them. Beside `nitrogen_tiny.py` it looks
more closely, at patches of 8 pixels: a monster at the other end of the room is a few pixels wide.

Expected: what launch/RESULTS.md has of the quick start.
"""

from nitrogen_jax.chain.small_policy import POLICY, config

__all__ = ["POLICY", "config"]

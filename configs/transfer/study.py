"""The transfer study: which tasks, how much play, how many updates and episodes.

    launch/transfer.sh --recipe configs/transfer/study.py --out runs/transfer

Pre-training has four scenarios of ViZDoom, five games of Procgen, and Airstriker. Near is one more
scenario of ViZDoom: walking as in my-way-home, to medikits. Far is a game of the Atari 2600, of
which there is none in pre-training; its scripted player is no champion.

Both were chosen before anything was compared. ale/breakout was looked at first as far: from
scratch, with 10 minutes of play and 1,000 updates, it was played no better than by a random pad.
vizdoom/defend-the-center takes twice as many frames a minute as health-gathering.

Measured, 2026-11-30: launch/transfer/RESULTS.md, and what to make of it in NOTES.md beside it.
"""

from nitrogen_jax.chain.transfer import Study


def config() -> Study:
    return Study(
        played=(
            "vizdoom/defend-the-line",
            "vizdoom/deadly-corridor",
            "vizdoom/health-gathering",
            "vizdoom/my-way-home",
            "vizdoom/take-cover",
            "procgen/maze",
            "procgen/heist",
            "procgen/coinrun",
            "procgen/bossfight",
            "procgen/starpilot",
            "airstriker/score",
        ),
        near="vizdoom/health-gathering",
        far="ale/boxing",
        counts={"ale/boxing": "points"},
    )

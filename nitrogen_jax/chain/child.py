"""`python -m nitrogen_jax.chain.child PARENT VERB ...`: a command that ends when its parent does.

A run of stages may be killed at any moment, and begun again at once: what it had started must not
go on writing then.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Sequence

_PR_SET_PDEATHSIG = 1  # of <sys/prctl.h>


def main(argv: Sequence[str]) -> int:
    """Runs `nitrogen VERB ...`.

    Args:
        argv: the parent's process id, and the words of the command.
    """
    parent, *words = argv
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != int(parent):  # it was over before this was asked for
        return 1
    # A shell that starts something in the background has it ignore Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.argv = ["nitrogen", *words]  # commands note how they were started
    from nitrogen_jax import cli

    return cli.main(words)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

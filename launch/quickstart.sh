#!/usr/bin/env bash
# From a fresh checkout to a policy that has learnt to play from labelled video: sets up .venv, then
# runs `nitrogen quickstart`, whose options it takes. Needs Python, pip's packages and nothing else.
#
#   ./launch/quickstart.sh                     a quarter of an hour on two cores; quickstart/report.html
#   ./launch/quickstart.sh --short             the same stages in a few minutes: nothing is learnt
#   ./launch/quickstart.sh --help
#   PYTHON=python3.12 ./launch/quickstart.sh
#
# The same command again goes on where it was stopped.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
source "$root/launch/setup.sh"

venv=${VENV:-$root/.venv}
setup_venv "$venv" jax,vizdoom
# NOTE: a GPU is of no use to a policy as small as this, and compiling for it takes longer.
export JAX_PLATFORMS=${JAX_PLATFORMS:-cpu}
exec "$venv/bin/nitrogen" quickstart "$@"

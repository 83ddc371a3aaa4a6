# shellcheck shell=bash
# Sourced by the launch scripts: a virtual environment with this checkout installed in it.
#
#   PYTHON   the interpreter for a new environment (default: python3)

# setup_venv FOLDER EXTRAS: makes FOLDER if it is not there and installs '.[EXTRAS]' in it,
# editable, so that a change of the sources needs no new installation. Does nothing when it did
# the same before and setup.cfg has not changed since.
setup_venv() {
  local folder=$1 extras=$2 root done_before state
  root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
  if ! "$folder/bin/python" -c '' 2>/dev/null; then
    new_venv "$folder" || return
  fi
  done_before="$folder/.nitrogen-setup"
  state="$extras $(cksum <"$root/setup.cfg") $root"
  if [ "$(cat "$done_before" 2>/dev/null)" != "$state" ]; then
    echo "installing nitrogen_jax[$extras] in $folder"
    "$folder/bin/python" -m pip install --quiet --editable "${root}[$extras]" || return
    echo "$state" >"$done_before"
  fi
}

# new_venv FOLDER: an empty environment made with $PYTHON, which must be one that we support.
new_venv() {
  local folder=$1 python=${PYTHON:-python3}
  if ! "$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null
  then
    echo "$python is not Python 3.11, 3.12 or 3.13: name one, as in PYTHON=python3.12 $0" >&2
    return 2
  fi
  if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    echo "$python cannot make virtual environments: apt-get install python3-venv" >&2
    return 2
  fi
  "$python" -m venv --clear "$folder"
}

# shellcheck shell=bash
# Sourced by the launch scripts: help, dry runs, and how a training ends.
#
#   DRY_RUN   not empty: `run` prints and does nothing

# The end of a training, in the result.json of its folder.
# shellcheck disable=SC2034
FINISHED='"state": *"finished"'

# usage FILE: the comment at the top of a script, as its help.
usage() {
  awk 'NR == 1 { next } !/^#/ { exit } { sub(/^# ?/, ""); print }' "$1"
}

# fail TEXT: says what is wrong with the call and ends with 2.
fail() {
  echo "$(basename "$0"): $1" >&2
  exit 2
}

# needs OPTION COUNT: fails unless COUNT, the number of arguments left, holds the option's value.
needs() {
  [ "$2" -ge 2 ] || fail "$1 needs a value"
}

# whole OPTION VALUE: fails unless VALUE is a whole number of at least 1.
whole() {
  [[ $2 =~ ^[1-9][0-9]*$ ]] || fail "$1 is '$2', where a whole number of at least 1 is needed"
}

# quoted WORD...: one line that a shell reads as these words.
quoted() {
  local word separator=""
  for word; do
    printf %s "$separator"
    separator=" "
    if [[ $word =~ ^[A-Za-z0-9_./:,@%+=-]+$ ]]; then
      printf %s "$word"
    else
      printf %s "${word@Q}"
    fi
  done
  echo
}

# run WORD...: runs a command, or prints it in a dry run.
run() {
  if [ -n "${DRY_RUN:-}" ]; then
    quoted "$@"
  else
    "$@"
  fi
}

# show WORD...: prints a command in a dry run alone.
show() {
  [ -z "${DRY_RUN:-}" ] || quoted "$@"
}

# dry TEXT: a comment between the commands of a dry run.
dry() {
  [ -z "${DRY_RUN:-}" ] || echo "# $1"
}

# wait_for PID: its exit code, however many signals this shell gets meanwhile.
wait_for() {
  while kill -0 "$1" 2>/dev/null; do
    wait "$1" || true
  done
  wait "$1"
}

# finished FOLDER: whether the training in it came to its end.
finished() {
  grep -Eqs "$FINISHED" "$1/result.json"
}

# port_for TEXT: a port below those that systems hand out, the same each time.
port_for() {
  echo $((20000 + $(cksum <<<"$1" | cut -d ' ' -f 1) % 10000))
}

# json TEXT: as a string of JSON, which is one of YAML.
json() {
  local text=${1//\\/\\\\}
  text=${text//\"/\\\"}
  printf '"%s"' "${text//$'\n'/\\n}"
}

# lines SPACES LINE...: lines of the YAML, the first of which is indented already.
lines() {
  local spaces
  printf -v spaces '%*s' "$1" ""
  printf '%s' "$2"
  shift 2
  [ $# = 0 ] || printf "\n$spaces%s" "$@"
}

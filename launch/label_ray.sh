#!/usr/bin/env bash
# Labels videos with many machines: fills in launch/label_ray.yaml, starts a Ray cluster with it,
# runs `nitrogen label run` on its head, and takes the cluster down.
#
#   launch/label_ray.sh --hosts HEAD,HOST,... [OPTIONS] -- ARGUMENTS of nitrogen label run
#   launch/label_ray.sh --project P --zone Z --nfs SERVER:/SHARE [OPTIONS] -- ARGUMENTS
#
#   launch/label_ray.sh --hosts 10.0.0.1,10.0.0.2,10.0.0.3 --key ~/.ssh/id_ed25519 -- \
#     --videos /data/videos --skins /data/skins --out /data/labels
#   launch/label_ray.sh --project mine --zone us-central1-a --nodes 16 --spot \
#     --nfs 10.1.2.3:/share -- --videos /data/videos --skins /data/skins --out /data/labels
#
# Videos, skins and labels lie where all machines see them under one absolute path. The same command
# again goes on where it was stopped, also after Ctrl-C or when machines were taken away. It needs
# `ray` here (pip install 'nitrogen_jax[label,cluster]'), SSH to the machines, and with --project
# gcloud's credentials and pip install google-api-python-client cryptography.
#
#   --hosts A,B,...    machines that are there, by SSH; the first is the head and labels as well
#   --user NAME        for SSH; your own
#   --key FILE         for SSH; hosts are reached from the head with it, too
#   --project P        of Google Cloud: create machines instead
#   --zone Z           where
#   --machine TYPE     of those that label; n2-highcpu-32
#   --nodes N          that label; 4
#   --spot             cheaper, and taken away at any time
#   --image URL        of their disks; Debian 12
#   --nfs SERVER:PATH  mounted at --mount
#   --mount FOLDER     where; /data
#   --extras NAMES     what is installed of nitrogen_jax; label,cluster
#   --port N           of Ray on the head; 6379
#   --name NAME        of the cluster; nitrogen-label
#   --keep             leave the cluster running at the end
#   --dry-run          print the YAML and what would be run; needs no ray
#   --help
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
source "$root/launch/common.sh"

DRY_RUN="" hosts="" user="" key="" project="" zone="" machine=n2-highcpu-32 nodes=4 spot="" nfs=""
image=projects/debian-cloud/global/images/family/debian-12
mount=/data extras=label,cluster port=6379 name=nitrogen-label keep=""
while [ $# -gt 0 ]; do
  case $1 in
    --help | -h) usage "$0" && exit ;;
    --dry-run) DRY_RUN=1 && shift && continue ;;
    --spot) spot=1 && shift && continue ;;
    --keep) keep=1 && shift && continue ;;
    --) shift && break ;;
    --*) needs "$1" $# ;;
    *) fail "'$1' has to come after --, with the arguments of nitrogen label run: see --help" ;;
  esac
  case $1 in
    --hosts) hosts=$2 ;;
    --user) user=$2 ;;
    --key) key=$2 ;;
    --project) project=$2 ;;
    --zone) zone=$2 ;;
    --machine) machine=$2 ;;
    --nodes) whole "$1" "$2" && nodes=$2 ;;
    --image) image=$2 ;;
    --nfs) nfs=$2 ;;
    --mount) mount=$2 ;;
    --extras) extras=$2 ;;
    --port) whole "$1" "$2" && port=$2 ;;
    --name) name=$2 ;;
    *) fail "there is no option $1: see --help" ;;
  esac
  shift 2
done
[[ -n $hosts || -n $project ]] || fail "--hosts or --project is needed: see --help"
[[ -z $hosts || -z $project ]] || fail "--hosts and --project exclude each other"
[[ $name =~ ^[a-z]([a-z0-9-]{0,38}[a-z0-9])?$ ]] ||
  fail "the name '$name' is not a letter and up to 39 more of a-z, 0-9 and -"
[[ $extras =~ ^[a-z0-9,]+$ ]] || fail "--extras is '$extras', where names like label,cluster are needed"
[[ $mount == /* ]] || fail "--mount is $mount, where an absolute path is needed"
for option in --videos --skins --out; do
  [[ " $* " == *" $option "* || " $*" == *" $option="* ]] ||
    fail "$option is missing after --: see nitrogen label run --help"
done
for word; do
  [[ $word != --cluster* && $word != --workers* ]] ||
    fail "${word%%=*} is not for this script: all cores of the cluster are used"
done

steps=()
if [ -n "$hosts" ]; then
  [[ $hosts =~ ^[A-Za-z0-9.:-]+(,[A-Za-z0-9.:-]+)*$ ]] ||
    fail "--hosts is '$hosts', where addresses like 10.0.0.1,10.0.0.2 are needed"
  IFS=, read -r -a all <<<"$hosts"
  workers=$((${#all[@]} - 1))
  ips=""
  for host in "${all[@]:1}"; do ips+="${ips:+, }$(json "$host")"; done
  provider=$(lines 2 "type: local" "head_ip: $(json "${all[0]}")" "worker_ips: [$ips]")
  user=${user:-$(id -un)} types="min_workers: $workers"
else
  [ -n "$zone" ] || fail "--zone is needed with --project"
  [ -n "$nfs" ] || fail "--nfs is needed with --project: created machines share nothing else"
  workers=$nodes
  provider=$(lines 2 "type: gcp" "project_id: $(json "$project")" "region: $(json "${zone%-*}")" \
    "availability_zone: $(json "$zone")" "cache_stopped_nodes: false")
  user=${user:-ubuntu}
  disk=("disks:" "- boot: true" "  autoDelete: true" "  type: PERSISTENT" "  initializeParams:" \
    "    diskSizeGb: 50" "    sourceImage: $(json "$image")")
  scheduling=()
  [ -z "$spot" ] || scheduling=("scheduling:" "- preemptible: true")
  types="available_node_types:
  head:
    # The driver reads and writes the log; nothing is labelled on it.
    resources: {\"CPU\": 0}
    min_workers: 0
    max_workers: 0
    node_config:
      $(lines 6 "machineType: n2-standard-4" "${disk[@]}")
  labelling:
    resources: {}
    min_workers: $nodes
    max_workers: $nodes
    node_config:
      $(lines 6 "machineType: $(json "$machine")" "${disk[@]}" "${scheduling[@]}")
head_node_type: head"
  steps+=("sudo apt-get update -q && sudo apt-get install -q -y python3-venv nfs-common rsync")
fi
if [ -n "$nfs" ]; then
  at=$(quoted "$mount") from=$(quoted "$nfs")
  steps+=("mountpoint -q $at || (sudo mkdir -p $at && sudo mount -t nfs -o hard $from $at)")
fi
setup="- 'true'"
if [ ${#steps[@]} -gt 0 ]; then
  listed=()
  for step in "${steps[@]}"; do listed+=("- $(json "$step")"); done
  setup=$(lines 2 "${listed[@]}")
fi
auth="ssh_user: $(json "$user")"
[ -z "$key" ] || auth=$(lines 2 "$auth" "ssh_private_key: $(json "$key")")

text=$(<"$root/launch/label_ray.yaml")
# fill NAME VALUE: puts VALUE where ${NAME} stands.
fill() {
  text=${text//"\${$1}"/"$2"}
}
text=${text#*"cluster_name"} # the comment explains the template
text="cluster_name$text"
fill NAME "$name"
fill WORKERS "$workers"
fill PORT "$port"
fill EXTRAS "$extras"
fill PROVIDER "$provider"
fill AUTH "$auth"
fill TYPES "$types"
fill SETUP "$setup"
fill ROOT "$(json "$root")"
# shellcheck disable=SC2088
label="RAY_AUTH_MODE=token ~/nitrogen_venv/bin/$(quoted nitrogen label run "$@" --cluster auto)"

# down: takes the cluster down, unless it is to be kept.
# shellcheck disable=SC2317,SC2329
down() {
  if [ -z "$keep" ]; then
    run ray down --yes "$made"
    rm -rf "$folder"
  else
    echo "label_ray.sh: the cluster goes on: ray down $made"
  fi
}

export RAY_USAGE_STATS_ENABLED=0 RAY_AUTH_MODE=token
if [ -n "$DRY_RUN" ]; then
  folder="" made=$name.yaml
  dry "$made is"
  echo "$text" | sed 's/^/#   /'
  dry "a token that all machines know, unless there is one already:"
  run ray get-auth-token --generate
  run ray up --yes --no-config-cache "$made"
  run ray exec --no-config-cache "$made" "$label"
  [ -n "$keep" ] || { dry "at the end, however it ends:" && run ray down --yes "$made"; }
  exit
fi
folder=$(mktemp -d) made=$folder/$name.yaml
echo "$text" >"$made"
ray get-auth-token --generate >/dev/null
trap down EXIT
ray up --yes --no-config-cache "$made"
ray exec --no-config-cache "$made" "$label"

#!/usr/bin/env bash
# Trains on Google Kubernetes Engine: fills in launch/gke.yaml and hands it to kubectl.
#
#   launch/gke.sh CONFIG OUT --image IMAGE --topology 4x4 [OPTIONS] [--a.b=value ...]
#
#   launch/gke.sh configs/nitrogen_500m_pretrain.py runs/pretrain --image REPO/nitrogen \
#     --topology 4x4 --bucket my-runs --mesh.fsdp=4
#   launch/gke.sh configs/nitrogen_500m_finetune.py runs/mygame --image REPO/nitrogen \
#     --gpu nvidia-h100-80gb --nodes 2 --bucket my-runs
#
# The cluster needs a node pool of that kind and JobSet (kubectl apply --server-side -f
# https://github.com/kubernetes-sigs/jobset/releases/download/v0.8.0/manifests.yaml). The image
# has the checkout in --folder and `nitrogen` on its path, as in
#
#   FROM python:3.12
#   COPY . /nitrogen_jax
#   RUN pip install '/nitrogen_jax[jax,tpu]'
#
# OUT is a folder of what is mounted at --mount, where records and weights may lie as well; a
# bucket should have a hierarchical namespace, or else a checkpoint is not renamed in one piece.
#
#   --image IMAGE      what the pods run
#   --topology XxY     of the TPU slice, for example 4x4 or 16x16
#   --tpu KIND         of the slice; tpu-v5-lite-podslice (v5e), or tpu-v6e-slice, ...
#   --chips N          of a host; 4, or 8 on v5e 2x4 in one host
#   --gpu KIND         GPUs instead of a TPU, for example nvidia-h100-80gb
#   --nodes N          of GPUs; 1
#   --gpus N           of a node; 8
#   --bucket NAME      mount this bucket (Cloud Storage FUSE must be on in the cluster)
#   --claim NAME       mount this PersistentVolumeClaim instead, for example Filestore
#   --mount FOLDER     where; /data
#   --name NAME        of the JobSet; made of OUT
#   --folder FOLDER    of the checkout in the image; /nitrogen_jax
#   --grace SECONDS    from SIGTERM to SIGKILL; 120. Spot nodes give 25 unless their node pool has
#                      a longer kubelet shutdown grace period
#   --restarts N       how often all pods start again at most; 1000
#   --dry-run          print the YAML that would be applied; needs no kubectl
#   --help
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
source "$root/launch/common.sh"

DRY_RUN="" image="" topology="" tpu=tpu-v5-lite-podslice chips=4 gpu="" nodes=1 gpus=8 bucket=""
claim="" mount=/data name="" folder=/nitrogen_jax grace=120 restarts=1000
plain=() overrides=()
while [ $# -gt 0 ]; do
  case $1 in
    --help | -h) usage "$0" && exit ;;
    --dry-run) DRY_RUN=1 && shift && continue ;;
    --*=* | --profile | --quiet) overrides+=("$1") && shift && continue ;;
    --*) needs "$1" $# ;;
    *) plain+=("$1") && shift && continue ;;
  esac
  case $1 in
    --image) image=$2 ;;
    --topology) topology=$2 ;;
    --tpu) tpu=$2 ;;
    --chips) whole "$1" "$2" && chips=$2 ;;
    --gpu) gpu=$2 ;;
    --nodes) whole "$1" "$2" && nodes=$2 ;;
    --gpus) whole "$1" "$2" && gpus=$2 ;;
    --bucket) bucket=$2 ;;
    --claim) claim=$2 ;;
    --mount) mount=$2 ;;
    --name) name=$2 ;;
    --folder) folder=$2 ;;
    --grace) whole "$1" "$2" && grace=$2 ;;
    --restarts) whole "$1" "$2" && restarts=$2 ;;
    *) fail "there is no option $1: see --help" ;;
  esac
  shift 2
done
[ ${#plain[@]} = 2 ] || fail "CONFIG and OUT are needed: see --help"
config=${plain[0]} out=${plain[1]}
[[ $config != /* && -f $root/$config ]] ||
  fail "config $config is not the path of a file in the checkout $root"
[ -n "$image" ] || fail "--image is needed: see --help"
[[ -n $gpu || -n $topology ]] || fail "--topology (of a TPU) or --gpu is needed: see --help"
[[ -n $bucket || -n $claim ]] || fail "--bucket or --claim is needed: see --help"
[[ $out != /* ]] || fail "OUT is $out, where a folder within --mount is needed"
if [ -z "$name" ]; then
  name=$(tr 'A-Z_./' 'a-z---' <<<"$out" | tr -cd 'a-z0-9-' | cut -c 1-40)
fi
[[ $name =~ ^[a-z]([a-z0-9-]{0,38}[a-z0-9])?$ ]] ||
  fail "the name '$name' is not a letter and up to 39 more of a-z, 0-9 and -: give --name"

if [ -n "$gpu" ]; then
  hosts=$nodes environment="[]"
  selector="cloud.google.com/gke-accelerator: $(json "$gpu")"
  resource="nvidia.com/gpu: $gpus"
  if ((nodes > 1)); then
    # The third thing that JAX wants to know is in JOB_COMPLETION_INDEX.
    environment=$(lines 14 "" "- name: JAX_COORDINATOR_ADDRESS" \
      "  value: $(json "$name-hosts-0-0.$name:29500")" \
      "- name: JAX_NUM_PROCESSES" "  value: $(json "$nodes")")
  fi
else
  [[ $topology =~ ^[1-9][0-9]*(x[1-9][0-9]*){1,2}$ ]] ||
    fail "--topology is '$topology', where something like 4x4 is needed"
  all=$((${topology//x/*}))
  ((all > chips)) || chips=$all
  ((all % chips == 0)) || fail "--chips $chips does not divide the $all chips of $topology"
  hosts=$((all / chips)) environment="[]"
  selector=$(lines 14 "cloud.google.com/gke-tpu-accelerator: $(json "$tpu")" \
    "cloud.google.com/gke-tpu-topology: $(json "$topology")")
  resource="google.com/tpu: $chips"
fi
if [ -n "$bucket" ]; then
  volume=$(lines 14 csi: "  driver: gcsfuse.csi.storage.gke.io" "  volumeAttributes:" \
    "    bucketName: $(json "$bucket")" "    mountOptions: implicit-dirs")
else
  volume=$(lines 14 persistentVolumeClaim: "  claimName: $(json "$claim")")
fi
words=()
for word in nitrogen train --config "$config" --out "$mount/$out" --resume "${overrides[@]}"; do
  words+=("- $(json "$word")")
done
command=$(lines 14 "${words[@]}")

text=$(<"$root/launch/gke.yaml")
# fill NAME VALUE: puts VALUE where ${NAME} stands.
fill() {
  text=${text//"\${$1}"/"$2"}
}
text=${text#*"apiVersion"}  # the comment explains the template
text="apiVersion$text"
fill NAME "$name"
fill RESTARTS "$restarts"
fill HOSTS "$hosts"
fill GRACE "$grace"
fill SELECTOR "$selector"
fill IMAGE "$(json "$image")"
fill FOLDER "$(json "$folder")"
fill ENVIRONMENT "$environment"
fill FINISHED "$FINISHED"
fill OUT "$(json "$mount/$out")"
fill MOUNT "$(json "$mount")"
fill RESOURCE "$resource"
fill VOLUME "$volume"
fill COMMAND "${command#- }"  # last: what is in it is left alone
if [ -n "$DRY_RUN" ]; then
  dry "kubectl apply --filename=- with"
  echo "$text"
else
  kubectl apply --filename=- <<<"$text"
  echo "gke.sh: kubectl logs --follow --selector jobset.sigs.k8s.io/jobset-name=$name"
fi

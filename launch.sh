#!/usr/bin/env bash
# Installs the package beside this file, once, and runs it.
#
#   ./launch.sh                          train configs/u1_10.py
#   ./launch.sh --config=configs/paper.py --workdir=DIR
#   ./launch.sh --config.repeats=3       the same config, a field overridden
#   ./launch.sh test [pytest arguments]  run the tests
#   ./launch.sh lint                     check style and types with ruff and mypy
#   ./launch.sh install                  only install
#   ./launch.sh help                     print this
#
# The first call makes .venv beside this file and installs into it; later calls install only what
# changed. Relative paths in arguments, and the default workdir, start from the current directory.
#
# Environment:
#   PYTHON=...                  the Python (3.11 to 3.14) to make .venv with
#   IMBREG_JAX_ACCELERATOR=...  cpu, cuda (CUDA 13), cuda12 or tpu, instead of what is found
#   IMBREG_JAX_LOCK=none        newest versions in the ranges of pyproject.toml, not requirements.lock
#
# Batch jobs: SIGTERM and SIGINT sent to this script reach the training exactly once, and the same
# command resumes. Where compute nodes have no network, ./launch.sh install beforehand, with
# IMBREG_JAX_ACCELERATOR saying what they have. For SLURM:
#
#   #!/bin/bash
#   #SBATCH --gres=gpu:1 --cpus-per-task=4 --mem=16G --time=01:00:00
#   #SBATCH --signal=B:TERM@120 --requeue
#   export IMBREG_JAX_ACCELERATOR=cuda
#   exec ./launch.sh --config=configs/paper.py --workdir=workdirs/paper
#
# Exit status: that of the program; 2 for a command or config that cannot work.
set -euo pipefail

here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd -P)
venv=$here/.venv
python=$venv/bin/python
stamp=$venv/imbreg_jax.stamp
unfinished=$venv/imbreg_jax.unfinished

say() { printf 'launch.sh: %s\n' "$*" >&2; }
die() { say "$1"; exit "${2:-1}"; }

# --- which JAX ----------------------------------------------------------------------------------

# Sets accelerator (cpu, cuda, cuda12, tpu) and reason.
choose_accelerator() {
  local query driver='' capability='' device
  accelerator=cpu
  if [[ -n ${IMBREG_JAX_ACCELERATOR:-} ]]; then
    case $IMBREG_JAX_ACCELERATOR in
      cpu | cuda | cuda12 | tpu) ;;
      *) die "IMBREG_JAX_ACCELERATOR is '$IMBREG_JAX_ACCELERATOR'; it must be cpu, cuda, cuda12 or tpu" 2 ;;
    esac
    accelerator=$IMBREG_JAX_ACCELERATOR
    reason='IMBREG_JAX_ACCELERATOR says so'
    return
  fi
  if [[ $(uname -s) != Linux ]]; then
    reason="JAX has accelerator builds for Linux only, and this is $(uname -s)"
    return
  fi

  # The weakest GPU decides; field by field, since old drivers do not know compute_cap.
  if query=$(nvidia-smi --query-gpu=driver_version --format=csv,noheader 2>/dev/null); then
    driver=$(sort -n <<<"$query" | head -n 1)
    query=$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader 2>/dev/null) || query=''
    capability=$(sort -n <<<"$query" | head -n 1)
  elif [[ -r /proc/driver/nvidia/version ]]; then
    driver=$(grep -oE '[0-9]+\.[0-9]+(\.[0-9]+)?' /proc/driver/nvidia/version | head -n 1) || driver=''
  fi
  if [[ $driver =~ ^([0-9]+)\. ]]; then
    local seen="an NVIDIA GPU with driver $driver" major=${BASH_REMATCH[1]}
    if [[ $capability =~ ^([0-9]+)\.([0-9]+)$ ]]; then
      seen+=" and compute capability $capability"
      capability=$((BASH_REMATCH[1] * 10 + BASH_REMATCH[2]))
    else
      capability=75
    fi
    if ((major >= 580 && capability >= 75)); then
      accelerator=cuda
      reason="$seen, which CUDA 13 supports"
    elif ((major >= 525 && capability >= 52)); then
      accelerator=cuda12
      reason="$seen, too old for CUDA 13"
    else
      reason="$seen, too old for JAX, which needs driver 525 and compute capability 5.2"
    fi
    return
  fi

  for device in /sys/bus/pci/devices/*; do
    [[ -r $device/vendor && $(<"$device/vendor") == 0x1ae0 ]] || continue
    # Google's network cards have the same vendor: these are the TPUs that JAX knows.
    case $(<"$device/device") in
      0x0027 | 0x0056 | 0x005e | 0x0062 | 0x0063 | 0x006f | 0x0076)
        accelerator=tpu
        reason="a TPU is on the PCI bus"
        return
        ;;
    esac
  done
  reason='no NVIDIA GPU and no TPU seen'
}

# --- the environment ----------------------------------------------------------------------------

# Sets host_python to a Python that this package runs on.
find_python() {
  local candidate found=''
  for candidate in ${PYTHON:+"$PYTHON"} python3 python3.14 python3.13 python3.12 python3.11; do
    command -v -- "$candidate" >/dev/null 2>&1 || continue
    if "$candidate" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 14))' 2>/dev/null; then
      if "$candidate" -c 'import ensurepip, venv' 2>/dev/null; then
        host_python=$candidate
        return
      fi
      found+="; $candidate lacks its venv module (on Debian and Ubuntu: apt install python3-venv)"
    else
      found+="; $candidate is $("$candidate" -V 2>&1 | head -n 1)"
    fi
  done
  die "needs Python 3.11 to 3.14 on the PATH, or named by PYTHON=...${found:-; there is no python3}" 2
}

# What an install depends on, so that it is repeated when, and only when, one of them changes.
fingerprint() {
  "$python" - "$here" "${IMBREG_JAX_LOCK:-}" <<'PY'
import hashlib, pathlib, sys

here, lock = sys.argv[1:]
digest = hashlib.sha256(repr((here, lock, sys.version_info[:2])).encode())
for name in 'requirements.lock', 'pyproject.toml':
  digest.update((pathlib.Path(here) / name).read_bytes())
print(digest.hexdigest())
PY
}

# install EXTRA...: makes .venv hold the package with the accelerator's build and these extras.
install() {
  local wanted=("$@") have=() recorded='' key extra name missing=''
  choose_accelerator
  # Two jobs started together must not install into one place at once.
  if command -v flock >/dev/null 2>&1; then
    exec 9>"$here/.venv.lock"
    flock -n 9 || { say 'waiting for another launch.sh to finish installing'; flock 9; }
  fi

  if [[ -e $unfinished ]] || ! "$python" -m pip --version >/dev/null 2>&1; then
    make_venv
  fi
  key=$(fingerprint)
  if [[ -r $stamp ]]; then
    { read -r recorded; read -r -a have; } <"$stamp" || true
  fi

  # A build for an accelerator also serves a machine without one: a login node must not undo it.
  # Another accelerator than the one installed starts afresh, as JAX wants one plugin.
  for name in ${have[@]+"${have[@]}"}; do
    case $name in
      cuda | cuda12 | tpu)
        if [[ $accelerator == cpu && -z ${IMBREG_JAX_ACCELERATOR:-} ]]; then
          accelerator=$name
          reason+='; the build that .venv has stays'
        elif [[ $accelerator != "$name" ]]; then
          say "the JAX in .venv is the one for $name: making .venv anew"
          make_venv
          recorded=''
        fi
        ;;
    esac
  done
  say "JAX for $accelerator: $reason"
  [[ $accelerator == cpu ]] || wanted+=("$accelerator")

  for extra in ${wanted[@]+"${wanted[@]}"}; do
    [[ " ${have[*]-} " == *" $extra "* ]] || missing+=" $extra"
  done
  if [[ $key == "$recorded" && -z $missing ]]; then
    exec 9>&-
    return
  fi

  # Keep the other extras that were there.
  for name in ${have[@]+"${have[@]}"}; do
    case $name in cuda | cuda12 | tpu) continue ;; esac
    [[ " ${wanted[*]-} " == *" $name "* ]] || wanted+=("$name")
  done
  local extras
  extras=$(IFS=,; printf '%s' "${wanted[*]-}")
  local constraints=(-c "$here/requirements.lock")
  [[ ${IMBREG_JAX_LOCK:-} != none ]] || constraints=(--upgrade)
  say "installing imbreg_jax${extras:+[$extras]} into $venv (a few minutes the first time)"
  : >"$unfinished"
  "$python" -m pip install --quiet --disable-pip-version-check "${constraints[@]}" \
    --editable "$here${extras:+[$extras]}" ||
    die 'installing failed: pip says why above; the same command starts it afresh'
  printf '%s\n%s\n' "$key" "${wanted[*]-}" >"$stamp.new"
  mv -f -- "$stamp.new" "$stamp"
  rm -f -- "$unfinished"
  exec 9>&-
}

make_venv() {
  find_python
  say "making $venv with $("$host_python" -V)"
  mkdir -p -- "$venv"
  : >"$unfinished"
  # --clear empties the folder, the mark included; without pip the next call knows as much.
  "$host_python" -m venv --clear "$venv" || die "$host_python could not make $venv"
}

# --- the program --------------------------------------------------------------------------------

# Runs a program in a process group of its own, passes signals on to it once, whether they came
# from a terminal or a scheduler, and explains the one end that a program cannot explain itself.
supervise() {
  local child signalled again status=0
  set -m
  "$@" <&0 &
  child=$!
  set +m
  trap 'signalled=1; kill -TERM -- "$child" 2>/dev/null || true' TERM
  trap 'signalled=1; kill -INT -- "$child" 2>/dev/null || true' INT
  trap 'signalled=1; kill -HUP -- "$child" 2>/dev/null || true' HUP
  signalled=0
  wait "$child" || status=$?
  while ((signalled)); do
    # A signal that was passed on ends the wait, not the program.
    signalled=0 again=0
    wait "$child" || again=$?
    ((again == 127)) || status=$again  # 127: the wait before had its status already
  done
  if ((status == 137)); then
    say 'the program was killed (status 137): most likely memory ran out.'
    say 'The same command resumes from the last checkpoint. Ask for more memory, or do not keep the images'
    say '(--config.data.cache=never), or, in a workdir without checkpoints, train fewer runs at once'
    say '(--config.compute.runs_per_program=5).'
  fi
  exit "$status"
}

main() {
  local argument config=("--config=$here/configs/u1_10.py")
  case ${1:-} in
    help | -h | --help)
      sed -n '2,/^set -/{/^set -/d;s/^# \{0,1\}//;p;}' "${BASH_SOURCE[0]}"
      ;;
    test)
      shift
      install test
      cd -- "$here"
      exec "$python" -m pytest -n 2 --durations=15 "$@"
      ;;
    install)
      install
      ;;
    lint)
      install lint
      cd -- "$here"
      local status=0
      "$python" -m ruff check . || status=1
      "$python" -m ruff format --check --quiet . || status=1
      "$python" -m mypy || status=1
      exit "$status"
      ;;
    '' | -*)
      for argument in "$@"; do
        case $argument in --config | --config=* | -config | -config=*) config=() ;; esac
      done
      install
      supervise "$python" -m imbreg_jax.main ${config[@]+"${config[@]}"} "$@"
      ;;
    *)
      die "unknown command '$1'; ./launch.sh help lists them" 2
      ;;
  esac
}

# Read whole before it starts, so that an update of this file does not disturb a long run.
main "$@"; exit

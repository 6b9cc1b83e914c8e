#!/usr/bin/env bash
#SBATCH --job-name=imbreg_jax
#SBATCH --signal=B:USR1@120
#SBATCH --requeue
#SBATCH --open-mode=append
# Installs the package beside this file, once, and runs it.
#
#   ./launch.sh                          train configs/u1_10.py
#   ./launch.sh --config=configs/paper.py --workdir=DIR
#   ./launch.sh --config.repeats=3       the same config, a field overridden
#   ./launch.sh merge --workdir=DIR      make one study of shards; report --workdir=DIR its report
#   sbatch --array=0-7 launch.sh --config=configs/paper.py
#                                        the same study in eight jobs, which merge it in the end
#   ./launch.sh test [pytest arguments]  run the tests
#   ./launch.sh lint                     check style and types with ruff and mypy
#   ./launch.sh docs [serve]             build the site of README.md and docs/, or show it as it grows
#   ./launch.sh install                  only install
#   ./launch.sh help                     print this, and once installed every config, field and law
#
# Targets are drawn from u1_10, u1_5, n5_5_1, or any of uniform(low, high), normal(mean, std),
# truncated_normal, triangular, inverse_triangular, beta, lognormal, exponential, mixtures of these
# and table('file.csv'): ./launch.sh --config.train_distribution='normal(5.5, 2)'
#
# The first call makes .venv beside this file and installs into it; later calls install only what
# changed, and write nothing where nothing did, so that a checkout may be read-only. Before anything
# is installed, the config file is looked for and its syntax checked. Relative paths, and the default
# workdir, start from the current directory.
#
# Environment:
#   PYTHON=...                  the Python (3.11 to 3.14) to make .venv with
#   IMBREG_JAX_VENV=DIR         where .venv is, instead of beside this file
#   IMBREG_JAX_ACCELERATOR=...  cpu, cuda (CUDA 13), cuda12 or tpu, instead of what is found
#   IMBREG_JAX_LOCK=none        newest versions in the ranges of pyproject.toml, not requirements.lock
#
# Batch jobs: SIGTERM and SIGINT sent to this script reach the training exactly once, and the same
# command resumes. Under Slurm, submit from this folder and name what a job may use, such as
# sbatch --gpus=1 --cpus-per-task=4 --mem=16G --time=1:00:00 launch.sh …; two minutes before its time
# is over, a job saves, queues itself again, and resumes. Where compute nodes have no network,
# ./launch.sh install beforehand, with IMBREG_JAX_ACCELERATOR saying what they have.
#
# Exit status: that of the program; 2 for a command or config that cannot work.
set -euo pipefail

unset CDPATH  # with it, cd prints
{ : <&0; } 2>/dev/null || exec </dev/null
# "Beside this file" is where the file is, not where links to it are. macOS has no realpath -f.
self=${BASH_SOURCE[0]}
while [[ -L $self ]]; do
  target=$(readlink -- "$self")
  [[ $target == /* ]] || target=$(dirname -- "$self")/$target
  self=$target
done
here=$(cd -- "$(dirname -- "$self")" && pwd -P)
# Slurm runs a copy of this file in a folder of its own.
if [[ -n ${SLURM_JOB_ID:-} && ! -e $here/pyproject.toml ]]; then
  here=$(cd -- "${SLURM_SUBMIT_DIR:-.}" && pwd -P)
  self=$here/launch.sh
fi
self=$here/${self##*/}
venv=${IMBREG_JAX_VENV:-$here/.venv}
[[ $venv == /* ]] || venv=$PWD/$venv
while [[ $venv == */ && $venv != / ]]; do venv=${venv%/}; done
python=$venv/bin/python
stamp=$venv/imbreg_jax.stamp
unfinished=$venv/imbreg_jax.unfinished

# In a shell of its own, since to write where nobody reads ends a shell; stderr may be closed, too.
say() { (printf 'launch.sh: %s\n' "$*" >&3) 3>&2 2>/dev/null || true; }
die() { say "$1"; exit "${2:-1}"; }
[[ -e $here/imbreg_jax && -e $self ]] ||
  die "$here does not hold the package; under Slurm, submit from the folder of launch.sh" 2

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

# Prints what keeps this package from running on a Python, or nothing.
python_fault() {
  if ! command -v -- "$1" >/dev/null 2>&1; then
    echo 'there is no such program'
  elif ! "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 14))' 2>/dev/null; then
    echo "it is $("$1" -V 2>&1 | head -n 1)"
  elif ! "$1" -c 'import ensurepip, venv' 2>/dev/null; then
    echo 'it lacks its venv module (on Debian and Ubuntu: apt install python3-venv)'
  fi
}

# Sets host_python to a Python that this package runs on: PYTHON, or else the first on the PATH.
find_python() {
  local candidate fault found=''
  if [[ -n ${PYTHON:-} ]]; then
    fault=$(python_fault "$PYTHON")
    [[ -z $fault ]] || die "PYTHON is '$PYTHON', and $fault; it must name a Python 3.11 to 3.14" 2
    host_python=$PYTHON
    return
  fi
  for candidate in python3 python3.14 python3.13 python3.12 python3.11; do
    fault=$(python_fault "$candidate")
    if [[ -z $fault ]]; then
      host_python=$candidate
      return
    fi
    command -v -- "$candidate" >/dev/null 2>&1 && found+="; of $candidate: $fault"
  done
  die "needs Python 3.11 to 3.14 on the PATH, or named by PYTHON=...${found:-; there is no python3}" 2
}

# Refuses a config before minutes of installing, as far as any Python can tell: its file is not there
# or no Python. What is in it, the program checks.
check_config() {
  local argument path='' is_next=0 fault host_python=$python
  for argument in "$@"; do
    if ((is_next)); then path=$argument is_next=0; continue; fi
    case $argument in
      --config=* | -config=*) path=${argument#*=} ;;
      --config | -config) is_next=1 ;;
    esac
  done
  [[ -n $path ]] || return 0
  "$python" -c '' 2>/dev/null || find_python
  fault=$(config_fault "$path") || return 0
  [[ -z $fault ]] || die "--config = '$path': $fault" 2
}

config_fault() {
  "$host_python" - "$1" <<'PY'
import sys

path = sys.argv[1]
name, colon, _ = path.partition('.py:')
try:
  with open(f'{name}.py' if colon else path, encoding='utf-8') as file:
    compile(file.read(), path, 'exec', dont_inherit=True)
except FileNotFoundError:
  print('there is no such file')
except SyntaxError as error:
  print(f'line {error.lineno} of the file is not valid Python: {error.msg}')
except (OSError, ValueError) as error:
  print(f'the file cannot be read ({error})')
PY
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

# Whether .venv, as it is, has the package with the accelerator's build and the extras in `wanted`.
# Sets key (what an install now would depend on), recorded (what the last one did) and have (its
# extras); a build for an accelerator that stays enters accelerator and reason.
is_installed() {
  local name extra
  key='' recorded='' have=()
  [[ ! -e $unfinished ]] && [[ -x $python ]] && key=$(fingerprint 2>/dev/null) || return 1
  if [[ -r $stamp ]]; then
    { read -r recorded; read -r -a have; } <"$stamp" || true
  fi
  for name in ${have[@]+"${have[@]}"}; do
    case $name in
      cuda | cuda12 | tpu)
        # It also serves a machine without one: a login node must not undo it.
        if [[ $accelerator == cpu && -z ${IMBREG_JAX_ACCELERATOR:-} ]]; then
          accelerator=$name
          reason+='; the build that .venv has stays'
        elif [[ $accelerator != "$name" ]]; then
          return 1
        fi
        ;;
    esac
  done
  [[ $key == "$recorded" ]] || return 1
  for extra in ${wanted[@]+"${wanted[@]}"} "$accelerator"; do
    [[ $extra == cpu || " ${have[*]-} " == *" $extra "* ]] || return 1
  done
}

# install EXTRA...: makes .venv hold the package with the accelerator's build and these extras.
install() {
  local wanted=("$@") have=() recorded='' key='' name extras
  choose_accelerator
  [[ -z ${PYTHON:-} ]] || find_python
  if is_installed; then
    say "JAX for $accelerator: $reason"
    return
  fi

  check_config ${config_arguments[@]+"${config_arguments[@]}"}
  check_place
  trap 'interrupted INT' INT
  trap 'interrupted TERM' TERM
  trap 'interrupted HUP' HUP
  trap 'interrupted USR1' USR1
  # Two jobs started together must not install into one place at once.
  if command -v flock >/dev/null 2>&1; then
    exec 9>"$venv.lock"
    local status=0
    flock -n 9 || status=$?
    if ((status == 1)); then
      say 'waiting for another launch.sh to finish installing'
      watched flock 9
    elif ((status)); then
      say "the file system of $venv has no locks: where several jobs may start at once, ./launch.sh install beforehand"
    fi
  fi
  if ! is_installed; then
    say "JAX for $accelerator: $reason"
    install_now
  fi
  exec 9>&-
  trap - INT TERM HUP USR1
}

# Ends what is being installed, and this script with the status of the signal.
interrupted() {
  trap '' INT TERM HUP USR1
  if [[ -n ${child:-} ]]; then
    trap 'kill -KILL -- "-$child" 2>/dev/null || true' INT TERM HUP
    kill "-$1" -- "-$child" 2>/dev/null || true
    wait "$child" 2>/dev/null || true
  fi
  [[ -z ${clock:-} ]] || kill -- "-$clock" 2>/dev/null || true
  say 'installing was stopped; the same command goes on with it'
  [[ $1 != USR1 ]] || requeue
  exit $((128 + $(kill -l "$1")))
}

# Refuses a place for .venv that cannot be written or is not ours: making it anew empties it.
check_place() {
  if [[ -n ${IMBREG_JAX_VENV:-} && -e $venv ]] && ! is_ours; then
    die "IMBREG_JAX_VENV is '$IMBREG_JAX_VENV', which holds other things; it must be a folder that is new, empty or made by launch.sh" 2
  fi
  (mkdir -p -- "${venv%/*}/" && : >>"$venv.lock" && [[ ! -e $venv || -w $venv ]]) 2>/dev/null ||
    die "something is to be installed into $venv, which cannot be written; IMBREG_JAX_VENV=DIR names another place"
}

is_ours() {
  [[ -d $venv ]] || return 1
  [[ -e $stamp || -e $unfinished || -z $(ls -A -- "$venv") ]] && return
  # Python writes this file first, with the name that make_venv gives.
  grep -qs '^prompt = .*imbreg_jax' "$venv/pyvenv.cfg"
}

install_now() {
  for name in ${have[@]+"${have[@]}"}; do
    case $name in
      cuda | cuda12 | tpu)
        # JAX wants one plugin, so another accelerator starts afresh.
        [[ $accelerator == "$name" ]] || { say "the JAX in .venv is the one for $name: making .venv anew"; key=''; }
        ;;
      *)
        # Keep the other extras that were there.
        [[ " ${wanted[*]-} " == *" $name "* ]] || wanted+=("$name")
        ;;
    esac
  done
  if [[ -z $key ]] || ! "$python" -m pip --version >/dev/null 2>&1; then
    make_venv
    key=$(fingerprint)
  fi
  [[ $accelerator == cpu ]] || wanted+=("$accelerator")
  extras=$(IFS=,; printf '%s' "${wanted[*]-}")
  local constraints=(-c "$here/requirements.lock") quiet=() source=$here
  [[ ${IMBREG_JAX_LOCK:-} != none ]] || constraints=(--upgrade)
  [[ -t 2 ]] || quiet=(--quiet)
  if [[ ! -w $here ]]; then
    # Setuptools writes beside what it installs: so beside links to it.
    source=$venv/source
    mkdir -p -- "$source"
    ln -sf -- "$here"/pyproject.toml "$here"/README.md "$here"/LICENSE "$here"/imbreg_jax "$source"
  fi
  say "installing imbreg_jax${extras:+[$extras]} into $venv (a few minutes the first time)"
  : >"$unfinished"
  watched "$python" -m pip install ${quiet[@]+"${quiet[@]}"} --disable-pip-version-check \
    "${constraints[@]}" --editable "$source${extras:+[$extras]}" ||
    die "installing failed: pip says why above; the same command starts it afresh${SLURM_JOB_ID:+. Where this node has no network, IMBREG_JAX_ACCELERATOR=$accelerator ./launch.sh install on one that has}"
  printf '%s\n%s\n' "$key" "${wanted[*]-}" >"$stamp.new"
  mv -f -- "$stamp.new" "$stamp"
  rm -f -- "$unfinished"
}

make_venv() {
  find_python
  say "making $venv with $("$host_python" -V)"
  mkdir -p -- "$venv"
  : >"$unfinished"
  # --clear empties the folder, the mark included; the name stays as one.
  watched "$host_python" -m venv --clear --prompt imbreg_jax "$venv" ||
    die "$host_python could not make $venv"
  : >"$unfinished"
}

# Runs a part of installing in a process group of its own, so that a signal, which a foreground
# command would hold back to its end, ends it; where no terminal shows its progress, says so often.
watched() {
  local status=0
  set -m
  (trap '' TTOU; exec "$@") </dev/null >&2 &
  child=$!
  clock=''
  if ! [[ -t 2 ]]; then
    (
      seconds=0
      while sleep 20 && kill -0 $$; do
        seconds=$((seconds + 20))
        say "still installing after $seconds s"
      done
    ) >/dev/null &
    clock=$!
  fi
  set +m
  wait "$child" || status=$?
  child=''
  if [[ -n $clock ]]; then
    kill -- "-$clock" 2>/dev/null || true
    wait "$clock" 2>/dev/null || true
    clock=''
  fi
  return "$status"
}

# --- the program --------------------------------------------------------------------------------

# Runs a program in a process group of its own, passes signals on to it once, whether they came
# from a terminal or a scheduler, and explains the one end that a program cannot explain itself.
supervise() {
  local child signalled again time_is_up=0 status=0
  set -m
  # In the background of its terminal, where `stty tostop` would stop it at the first word.
  (trap '' TTOU; exec "$@") <&0 &
  child=$!
  set +m
  trap 'signalled=1; kill -TERM -- "$child" 2>/dev/null || true' TERM
  trap 'signalled=1; kill -INT -- "$child" 2>/dev/null || true' INT
  trap 'signalled=1; kill -HUP -- "$child" 2>/dev/null || true' HUP
  # Slurm's warning, by a signal of its own: a job that is cancelled must not come back.
  trap 'signalled=1 time_is_up=1; kill -TERM -- "$child" 2>/dev/null || true' USR1
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
  ((!time_is_up || !status)) || requeue
  exit "$status"
}

# Has Slurm start this job again, or this element of an array and not the whole of it: SLURM_JOB_ID
# of one of its elements is the array's.
requeue() {
  local job=${SLURM_ARRAY_JOB_ID:+${SLURM_ARRAY_JOB_ID}_${SLURM_ARRAY_TASK_ID:-}}
  job=${job:-${SLURM_JOB_ID:-}}
  [[ -n $job ]] || return 0
  say "its time is nearly over: job $job is queued again, and resumes then"
  scontrol requeue "$job" || say 'it could not be; the same sbatch command resumes'
}

main() {
  local argument config=("--config=$here/configs/u1_10.py") config_arguments=()
  case ${1:-} in
    help | -h | --help)
      sed -n '2,/^set -/{/^set -/d;/^#SBATCH/d;s/^# \{0,1\}//;p;}' "$self"
      if "$python" -c 'import imbreg_jax.main' 2>/dev/null; then
        echo
        exec "$python" -m imbreg_jax.main --help
      fi
      ;;
    test)
      shift
      install test
      cd -- "$here"
      [[ -w $here ]] || set -- -p no:cacheprovider "$@"
      exec "$python" -m pytest -n 2 --dist=loadfile --no-loadscope-reorder --durations=15 "$@"
      ;;
    docs)
      shift
      install docs
      cd -- "$here"
      (($#)) || set -- build --strict
      NO_MKDOCS_2_WARNING=1 exec "$python" -m mkdocs "$@"
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
    merge | report)
      install
      supervise "$python" -m imbreg_jax "$@"
      ;;
    '' | -*)
      for argument in "$@"; do
        case $argument in --config | --config=* | -config | -config=*) config=() ;; esac
      done
      config_arguments=("$@")
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

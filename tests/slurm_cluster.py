"""A Slurm of one node on this machine, in a folder of its own: for `slurm_test.py`.

    python tests/slurm_cluster.py sbatch --wait launch.sh --config=configs/smoke.py

starts one, runs a command in it and takes it down. It needs slurmctld, slurmd and munged, such as
those of Debian's packages slurm-wlm and munge, and no other Slurm is touched.
"""

import contextlib
import getpass
import os
import pathlib
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator

_PATH = os.pathsep.join([os.environ.get('PATH', ''), '/usr/sbin', '/sbin'])
_DAEMONS = ('munged', 'slurmctld', 'slurmd')
# More processors than the machine may have, so that four jobs run side by side. Of its control
# groups nothing is asked, which a container does not grant.
_CONFIG = """
ClusterName=tests
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller_port}
SlurmdPort={node_port}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=5
CredType=cred/munge
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SlurmdParameters=config_overrides
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
SchedulerParameters=sched_interval=2,batch_sched_delay=0,defer
ReturnToService=2
KillWait=10
NodeName={host} NodeAddr=127.0.0.1 CPUs=8 State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


def missing() -> list[str]:
    """The programs that are needed and not there."""
    names = (*_DAEMONS, 'sbatch', 'scontrol', 'squeue', 'sinfo')
    return [name for name in names if shutil.which(name, path=_PATH) is None]


@contextlib.contextmanager
def started() -> Iterator[dict[str, str]]:
    """Starts a cluster, whose commands run in the environment that this yields; ends it after.

    Raises:
      RuntimeError: its node does not come up; the text has the daemons' last lines.
    """
    # Short, since a socket's path must be.
    folder = pathlib.Path(tempfile.mkdtemp(prefix='slurm_', dir='/tmp'))
    folder.chmod(0o755)
    daemons: list[subprocess.Popen[bytes]] = []
    environment = os.environ | {'PATH': _PATH, 'SLURM_CONF': str(folder / 'slurm.conf')}

    def start(*command: str | pathlib.Path) -> None:
        with open(folder / 'daemons.log', 'ab') as log:
            daemons.append(subprocess.Popen(command, env=environment, stdout=log, stderr=log))

    def path(name: str) -> str:
        found = shutil.which(name, path=_PATH)
        assert found is not None, name
        return found

    try:
        for name in ('state', 'spool'):
            (folder / name).mkdir()
        key = folder / 'munge.key'
        key.write_bytes(secrets.token_bytes(128))
        key.chmod(0o400)
        (folder / 'slurm.conf').write_text(
            _CONFIG.format(
                folder=folder, host=socket.gethostname().partition('.')[0], user=getpass.getuser(),
                controller_port=_free_port(), node_port=_free_port(),
            )
        )  # fmt: skip
        files = {'key-file': key} | {
            f'{name}-file': folder / f'munge.{name}' for name in ('pid', 'log', 'seed')
        }
        start(
            path('munged'), '--foreground', '--force', f'--socket={folder}/munge.socket',
            *(f'--{name}={place}' for name, place in files.items()),
        )  # fmt: skip
        _wait(lambda: (folder / 'munge.socket').exists(), folder, 'munged did not start')
        # An absolute path: slurmd hands it on to what starts in other folders.
        start(path('slurmctld'), '-D', '-f', folder / 'slurm.conf')
        start(path('slurmd'), '-D', '-f', folder / 'slurm.conf')
        state = ['sinfo', '--noheader', '--format=%t']
        _wait(lambda: _output(state, environment) == 'idle', folder, 'the node did not come up')
        yield environment
        # What still runs would outlive the daemons.
        subprocess.run(
            ['scancel', '--user', getpass.getuser()], env=environment, capture_output=True
        )
        _wait(lambda: not _output(['squeue', '--noheader'], environment), folder, 'jobs do not end')
    finally:
        for daemon in reversed(daemons):
            daemon.terminate()
            try:
                daemon.wait(20)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()
        shutil.rmtree(folder, ignore_errors=True)


def _output(command: list[str], environment: dict[str, str]) -> str:
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    return done.stdout.strip()


def _wait(is_so, folder: pathlib.Path, failure: str, seconds: float = 90.0) -> None:
    deadline = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > deadline:
            logs = [path.read_text('utf-8', 'replace')[-1500:] for path in folder.glob('*.log')]
            raise RuntimeError('\n'.join([failure, *logs]))
        time.sleep(0.2)


def _free_port() -> int:
    with socket.socket() as own:
        own.bind(('127.0.0.1', 0))
        return int(own.getsockname()[1])


if __name__ == '__main__':
    if missing():
        sys.exit(f'not here: {", ".join(missing())}; on Debian: apt install slurm-wlm munge')
    with started() as cluster:
        sys.exit(subprocess.run(sys.argv[1:], env=cluster).returncode)

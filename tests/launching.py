"""launch.sh with stand-ins for Python and pip, for the tests of it."""

import os
import pathlib
import pty
import shutil
import signal
import subprocess
import sys
import time

from absl.testing import absltest

ROOT = pathlib.Path(__file__).resolve().parent.parent

# Makes an environment whose Python is itself, says what it is asked to install and run, and hands
# code to a real Python.
_PYTHON = r"""#!/usr/bin/env bash
case "$*" in
  -V) echo "Python $VERSION" ;;
  '-m venv '*)
    rm -rf "${!#}"; mkdir -p "${!#}/bin"; cp "$0" "${!#}/bin/python"
    echo "prompt = 'imbreg_jax'" >"${!#}/pyvenv.cfg"
    ;;
  '-m pip --version') ;;
  '-m pip install '*)
    echo "$*" >>"$LOG"
    [[ -z ${FAIL:-} ]] || { echo 'no such package' >&2; exit 1; }
    [[ -z ${SLOW:-} ]] || exec @REAL@ -c 'import time; time.sleep(60)'
    ;;
  '-c import sys; sys.exit(not '*) [[ $VERSION == 3.1[1-4]* ]] ;;
  '-c import ensurepip'*) [[ -z ${NO_VENV:-} ]] ;;
  '-m imbreg_jax'* | '-m pytest '* | '-m ruff '* | '-m mypy'* | '-m mkdocs '*)
    echo "runs $*"
    @RUN@
    ;;
  *) exec @REAL@ "$@" ;;
esac
"""


class LaunchCase(absltest.TestCase):
    """A checkout of its own, whose Python and pip are stand-ins."""

    def setUp(self):
        super().setUp()
        # A command in the background of a script ignores interrupts, and so would all it starts.
        if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
            signal.signal(signal.SIGINT, signal.default_int_handler)
            self.addCleanup(signal.signal, signal.SIGINT, signal.SIG_IGN)
        self.folder = pathlib.Path(self.create_tempdir().full_path)
        self.checkout = self.folder / 'checkout'
        (self.checkout / 'imbreg_jax').mkdir(parents=True)
        for name in ('launch.sh', 'pyproject.toml', 'requirements.lock', 'README.md', 'LICENSE'):
            shutil.copy(ROOT / name, self.checkout / name)
        self.bin = self.folder / 'bin'
        self.bin.mkdir()
        self.python('python3')
        self.log = self.folder / 'pip.log'

    def python(self, name: str, version: str = '3.12.1', run: str = '') -> pathlib.Path:
        path = self.bin / name
        text = _PYTHON.replace('@REAL@', sys.executable).replace('@RUN@', run or ':')
        path.write_text(text.replace('$VERSION', version))
        path.chmod(0o755)
        return path

    def environment(self, **variables) -> dict[str, str]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith(('PYTHON', 'IMBREG'))}
        kept |= {'PATH': f'{self.bin}:/usr/bin:/bin', 'LOG': str(self.log)}
        return kept | {'IMBREG_JAX_ACCELERATOR': 'cpu'} | {k: str(v) for k, v in variables.items()}

    def program(self, name: str, text: str) -> None:
        path = self.bin / name
        path.write_text(f'#!/usr/bin/env bash\n{text}\n')
        path.chmod(0o755)

    def launch(
        self, *arguments, script=None, stdin: str = '', **variables
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(script or self.checkout / 'launch.sh'), *map(str, arguments)],
            env=self.environment(**variables),
            cwd=self.folder,
            capture_output=True,
            text=True,
            input=stdin,
            timeout=300,
        )

    def installs(self) -> list[str]:
        return self.log.read_text().splitlines() if self.log.exists() else []

    def assert_refused(self, done, status: int, text: str):
        self.assertEqual(done.returncode, status, done.stderr)
        self.assertIn(text, done.stderr)
        self.assertEqual(self.installs(), [])

    def make_read_only(self, folder: pathlib.Path) -> bool:
        folder.chmod(0o555)
        self.addCleanup(folder.chmod, 0o755)
        if not os.access(folder, os.W_OK):
            return True
        # Root may write whatever the mode says, unless the file system itself does not let it.
        run = lambda *command: subprocess.run(command, capture_output=True).returncode == 0  # noqa: E731
        if not run('mount', '--bind', folder, folder):
            return False
        self.addCleanup(run, 'umount', '-l', folder)
        return run('mount', '-o', 'remount,ro,bind', folder)

    def on_terminal(self, *arguments: str, before: str = ':') -> tuple[int, str]:
        """Runs in a terminal of its own; its status and all that it showed."""
        command = ['bash', '-c', f'{before}; exec "$@"', 'bash', str(self.checkout / 'launch.sh')]
        # Made by a process without threads, as a fork needs it.
        leader, follower = pty.openpty()
        code = (
            'import fcntl, os, sys, termios\n'
            'fcntl.ioctl(0, termios.TIOCSCTTY, 0)\n'
            'os.execvp(sys.argv[1], sys.argv[1:])\n'
        )
        started = subprocess.Popen(
            [sys.executable, '-c', code, *command, *arguments],
            stdin=follower, stdout=follower, stderr=follower, env=self.environment(),
            start_new_session=True,
        )  # fmt: skip
        os.close(follower)
        os.set_blocking(leader, False)
        printed, deadline, status = b'', time.monotonic() + 30, None
        while status is None and time.monotonic() < deadline:
            time.sleep(0.05)
            status = started.poll()
            try:
                printed += os.read(leader, 10**5)
            except OSError:
                pass  # Nothing to read, or all is read.
        if status is None:
            os.killpg(started.pid, signal.SIGKILL)
            started.wait()
        os.close(leader)
        self.assertIsNotNone(status, f'did not end: {printed.decode()}')
        return status, printed.decode()

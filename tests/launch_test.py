"""launch.sh: what it installs, where, and how it ends; its Python and pip are stand-ins."""

import os
import pathlib
import pty
import re
import shutil
import signal
import subprocess
import sys
import time

from absl.testing import absltest

_ROOT = pathlib.Path(__file__).resolve().parent.parent

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
    [[ -z ${SLOW:-} ]] || exec @REAL@ -c 'import time; time.sleep(60)'
    ;;
  '-c import sys; sys.exit(not '*) [[ $VERSION == 3.1[1-4]* ]] ;;
  '-m imbreg_jax.main '*)
    echo "runs $*"
    @RUN@
    ;;
  *) exec @REAL@ "$@" ;;
esac
"""


class LaunchTest(absltest.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = pathlib.Path(self.create_tempdir().full_path)
        self.checkout = self.folder / 'checkout'
        (self.checkout / 'imbreg_jax').mkdir(parents=True)
        for name in ('launch.sh', 'pyproject.toml', 'requirements.lock', 'README.md', 'LICENSE'):
            shutil.copy(_ROOT / name, self.checkout / name)
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

    def launch(self, *arguments, script=None, **variables) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(script or self.checkout / 'launch.sh'), *map(str, arguments)],
            env=self.environment(**variables),
            cwd=self.folder,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=60,
        )

    def installs(self) -> list[str]:
        return self.log.read_text().splitlines() if self.log.exists() else []

    def assert_refused(self, done, status: int, text: str):
        self.assertEqual(done.returncode, status, done.stderr)
        self.assertIn(text, done.stderr)
        self.assertEqual(self.installs(), [])

    def test_installs_once_and_runs_the_config_beside_it(self):
        for _ in range(2):
            done = self.launch('--config.repeats=3')
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual(
                done.stdout,
                f'runs -m imbreg_jax.main --config={self.checkout}/configs/u1_10.py '
                '--config.repeats=3\n',
            )
        self.assertLen(self.installs(), 1)
        self.assertIn(f'--editable {self.checkout}', self.installs()[0])
        self.launch('install', IMBREG_JAX_ACCELERATOR='cuda')
        self.assertEndsWith(self.installs()[-1], f'--editable {self.checkout}[cuda]')

    def test_a_complete_installation_runs_without_a_write(self):
        self.launch('install')
        (self.checkout / '.venv.lock').unlink(missing_ok=True)
        # Nobody, root included, can open this for writing.
        (self.checkout / '.venv.lock').mkdir()
        before = _stamps(self.checkout)
        done = self.launch()
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertStartsWith(done.stdout, 'runs ')
        self.assertEqual(_stamps(self.checkout), before)
        self.assertLen(self.installs(), 1)

    def test_a_place_that_cannot_be_written_is_said(self):
        done = self.launch(IMBREG_JAX_VENV='/proc/venv')
        self.assert_refused(
            done, 1, 'into /proc/venv, which cannot be written; IMBREG_JAX_VENV=DIR'
        )

    def test_the_environment_may_be_elsewhere(self):
        done = self.launch(IMBREG_JAX_VENV='else/where')
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertTrue((self.folder / 'else' / 'where' / 'bin' / 'python').exists())
        self.assertFalse((self.checkout / '.venv').exists())
        (self.folder / 'else' / 'where' / 'imbreg_jax.stamp').unlink()
        self.assertEqual(self.launch(IMBREG_JAX_VENV='else/where').returncode, 0)

    def test_a_read_only_checkout_installs_elsewhere_and_stays_as_it_is(self):
        if not self.make_read_only(self.checkout):
            self.skipTest('this user may write anywhere and not mount anything')
        venv = self.folder / 'venv'
        done = self.launch(IMBREG_JAX_VENV=venv)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn(f'--editable {venv}/source', self.installs()[0])
        self.assertEqual((venv / 'source' / 'imbreg_jax').resolve(), self.checkout / 'imbreg_jax')
        self.assertEqual(self.launch().returncode, 1)

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

    def test_a_folder_of_somebody_else_is_no_place(self):
        precious = self.folder / 'home' / 'precious'
        precious.parent.mkdir()
        precious.write_text('a')
        for place in (precious.parent, precious):
            done = self.launch(IMBREG_JAX_VENV=place)
            self.assert_refused(done, 2, f"IMBREG_JAX_VENV is '{place}', which holds other things")
        self.assertEqual(precious.read_text(), 'a')

    def test_a_link_leads_to_the_checkout(self):
        (self.folder / 'links').mkdir()
        inner, outer = self.folder / 'links' / 'inner', self.folder / 'run'
        inner.symlink_to('../checkout/launch.sh')
        outer.symlink_to(inner)
        done = self.launch(script=outer, CDPATH=self.folder)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn(f'--config={self.checkout}/configs/u1_10.py', done.stdout)
        self.assertTrue((self.checkout / '.venv').exists())
        self.assertFalse((self.folder / '.venv').exists())
        self.assertIn('IMBREG_JAX_VENV=DIR', self.launch('help', script=outer).stdout)

    def test_a_python_that_is_named_and_cannot_serve_is_refused(self):
        old = self.python('old', '3.9.2')
        done = self.launch(PYTHON=old)
        self.assert_refused(done, 2, f"PYTHON is '{old}', and it is Python 3.9.2; it must name a")
        for installed in (False, True):
            if installed:
                self.launch('install')
                self.log.unlink()
            done = self.launch(PYTHON='python3.99')
            self.assert_refused(done, 2, "PYTHON is 'python3.99', and there is no such program")

    def test_no_python_at_all_is_said(self):
        self.python('python3', '3.9.2')
        for name in ('python3.11', 'python3.12', 'python3.13', 'python3.14'):
            self.python(name, '3.8.0')
        self.assert_refused(self.launch(), 2, 'of python3: it is Python 3.9.2; of python3.14: it')

    def test_mistakes_are_told_before_anything_is_installed(self):
        broken = self.folder / 'broken.py'
        broken.write_text('def get_config():\n  return (\n')
        for argument in (f'--config={broken}', f'--config={broken}:u1_10'):
            self.assert_refused(self.launch(argument), 2, 'line 2 of the file is not valid Python')
        done = self.launch('--config', 'nowhere.py', '--config.repeats=3')
        self.assert_refused(done, 2, "--config = 'nowhere.py': there is no such file")
        self.assert_refused(self.launch('trian'), 2, "unknown command 'trian'")
        self.assertFalse((self.checkout / '.venv').exists())

    def test_an_interrupt_while_installing_ends_it(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            process = subprocess.Popen(
                [str(self.checkout / 'launch.sh')],
                env=self.environment(SLOW=1), stderr=subprocess.PIPE, text=True,
            )  # fmt: skip
            lines = len(self.installs())
            while len(self.installs()) == lines:
                time.sleep(0.02)
            process.send_signal(number)
            _, err = process.communicate(timeout=30)
            self.assertEqual(process.returncode, 128 + number, err)
            self.assertIn('installing was stopped; the same command goes on', err)
            # Nothing of bash's own; what Python says if it is hit while starting is not ours.
            self.assertNotRegex(err, r'launch\.sh: line \d')
        done = self.launch()
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertNotIn('waiting for another', done.stderr)

    def test_a_signal_reaches_the_program_and_its_status_comes_back(self):
        program = (
            'import signal, sys, time\n'
            'for number in (2, 15):\n'
            '    signal.signal(number, lambda number, _: sys.exit(128 + number))\n'
            'print("ready", flush=True)\n'
            'time.sleep(60)\n'
        )
        self.python('python3', run=f"exec {sys.executable} -c '{program}'")
        self.launch('install')
        for number in (signal.SIGINT, signal.SIGTERM):
            process = subprocess.Popen(
                [str(self.checkout / 'launch.sh')],
                env=self.environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            )  # fmt: skip
            while process.stdout.readline() != 'ready\n':
                self.assertIsNone(process.poll())
            process.send_signal(number)
            _, err = process.communicate(timeout=30)
            self.assertEqual(process.returncode, 128 + number, err)

    def test_pip_says_what_it_does_where_somebody_looks(self):
        self.launch('install')
        self.assertIn('--quiet', self.installs()[-1])
        shutil.rmtree(self.checkout / '.venv')
        _, printed = self.on_terminal('install')
        self.assertIn('launch.sh: installing', printed)
        self.assertNotIn('--quiet', self.installs()[-1])

    def test_a_terminal_that_stops_what_writes_in_the_background_stops_nothing(self):
        self.launch('install')
        status, printed = self.on_terminal(before='stty tostop')
        self.assertEqual(status, 0)
        self.assertIn('runs -m imbreg_jax.main', printed)

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

    def test_a_closed_terminal_stops_nothing(self):
        for closed in ('2>&-', '<&-', '>&- 2>&-'):
            done = subprocess.run(
                ['bash', '-c', f'exec "$@" {closed}', 'bash', str(self.checkout / 'launch.sh')],
                env=self.environment(), cwd=self.folder, timeout=60,
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            )  # fmt: skip
            self.assertEqual(done.returncode, 0, closed)


class ReadmeTest(absltest.TestCase):
    def test_the_selection_that_the_readme_shows_selects_something(self):
        words = re.findall(r'launch\.sh test -k (\w+)', (_ROOT / 'README.md').read_text('utf-8'))
        self.assertNotEmpty(words)
        for word in words:
            pattern = re.compile(rf'^ *(?:class |def test_)\w*{word}', re.M | re.I)
            tests = (path for path in (_ROOT / 'tests').glob('*_test.py'))
            holders = [str(path) for path in tests if pattern.search(path.read_text('utf-8'))]
            self.assertNotEmpty(holders, f'-k {word} selects nothing')
            done = subprocess.run(
                [sys.executable, '-m', 'pytest', '--collect-only', '-q', '-k', word, holders[0]],
                cwd=_ROOT, capture_output=True, text=True,
            )  # fmt: skip
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            self.assertRegex(done.stdout, rf'(?i)::\w*{word}')


def _stamps(folder: pathlib.Path) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in [folder, *folder.rglob('*')]}


if __name__ == '__main__':
    absltest.main()

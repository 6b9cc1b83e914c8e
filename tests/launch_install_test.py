"""launch.sh: what it installs, and where."""

import fcntl
import pathlib
import shutil
import signal
import subprocess
import time

from absl.testing import absltest

from launching import LaunchCase


class InstallTest(LaunchCase):
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

    def test_a_folder_of_somebody_else_is_no_place(self):
        precious = self.folder / 'home' / 'precious'
        precious.parent.mkdir()
        precious.write_text('a')
        for place in (precious.parent, precious):
            done = self.launch(IMBREG_JAX_VENV=place)
            self.assert_refused(done, 2, f"IMBREG_JAX_VENV is '{place}', which holds other things")
        self.assertEqual(precious.read_text(), 'a')

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

    def test_pip_says_what_it_does_where_somebody_looks(self):
        self.launch('install')
        self.assertIn('--quiet', self.installs()[-1])
        shutil.rmtree(self.checkout / '.venv')
        _, printed = self.on_terminal('install')
        self.assertIn('launch.sh: installing', printed)
        self.assertNotIn('--quiet', self.installs()[-1])

    def test_the_accelerator_is_what_the_weakest_gpu_can(self):
        self.program(
            'nvidia-smi',
            'case "$*" in\n'
            '  *driver_version*) echo -e "$DRIVERS" ;;\n'
            '  *) [[ -n $CAPABILITIES ]] && echo -e "$CAPABILITIES" ;;\n'
            'esac',
        )
        for drivers, capabilities, accelerator, words in (
            ('580.65.06', '9.0', 'cuda', 'compute capability 9.0, which CUDA 13 supports'),
            ('580.65.06', '', 'cuda', 'driver 580.65.06, which CUDA 13 supports'),
            ('570.1', '9.0', 'cuda12', 'too old for CUDA 13'),
            ('580.1', '7.0', 'cuda12', 'too old for CUDA 13'),
            ('600.1\\n535.2', '9.0\\n8.0', 'cuda12', 'driver 535.2 and compute capability 8.0'),
            ('520.1', '9.0', 'cpu', 'which needs driver 525 and compute capability 5.2'),
            ('580.1', '5.0', 'cpu', 'too old for JAX'),
        ):
            with self.subTest(f'{drivers} {capabilities}'):
                done = self.launch(
                    'install', IMBREG_JAX_ACCELERATOR='', DRIVERS=drivers,
                    CAPABILITIES=capabilities, FAIL=1,
                )  # fmt: skip
                self.assertIn(f'JAX for {accelerator}: an NVIDIA GPU', done.stderr)
                self.assertIn(words, done.stderr)
                extra = '' if accelerator == 'cpu' else f'[{accelerator}]'
                self.assertEndsWith(self.installs()[-1], f'--editable {self.checkout}{extra}')

    def test_an_accelerator_that_is_named_decides_and_must_be_one(self):
        done = self.launch('install', IMBREG_JAX_ACCELERATOR='gpu')
        self.assert_refused(done, 2, "IMBREG_JAX_ACCELERATOR is 'gpu'; it must be cpu, cuda,")
        done = self.launch('install', IMBREG_JAX_ACCELERATOR='tpu')
        self.assertIn('JAX for tpu: IMBREG_JAX_ACCELERATOR says so', done.stderr)
        self.assertEndsWith(self.installs()[-1], '[tpu]')

    def test_a_build_for_an_accelerator_stays_unless_another_is_asked_for(self):
        self.launch('install', IMBREG_JAX_ACCELERATOR='cuda')
        self.program('uname', 'echo Darwin')
        done = self.launch('install', IMBREG_JAX_ACCELERATOR='')
        self.assertIn('and this is Darwin; the build that .venv has stays', done.stderr)
        self.assertLen(self.installs(), 1)
        done = self.launch('install', IMBREG_JAX_ACCELERATOR='cpu')
        self.assertIn('the JAX in .venv is the one for cuda: making .venv anew', done.stderr)
        self.assertEndsWith(self.installs()[-1], f'--editable {self.checkout}')

    def test_what_an_installation_depends_on_is_installed_again_with_all_extras(self):
        self.launch('test')
        self.assertEndsWith(self.installs()[-1], f'--editable {self.checkout}[test]')
        self.assertIn(f'-c {self.checkout}/requirements.lock', self.installs()[-1])
        done = self.launch('lint')
        self.assertEndsWith(self.installs()[-1], f'--editable {self.checkout}[lint,test]')
        self.assertLen(self.installs(), 2)
        for count, name in enumerate(('pyproject.toml', 'requirements.lock'), start=3):
            with open(self.checkout / name, 'a') as file:
                file.write('# changed\n')
            for _ in range(2):
                self.launch('install')
                self.assertLen(self.installs(), count)
            self.assertEndsWith(self.installs()[-1], '[lint,test]')
        done = self.launch('install', IMBREG_JAX_LOCK='none')
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn('--upgrade --editable', self.installs()[-1])
        self.assertNotIn('requirements.lock', self.installs()[-1])

    def test_an_installation_that_fails_is_said_and_begun_afresh(self):
        done = self.launch(FAIL=1)
        self.assertEqual(done.returncode, 1)
        self.assertIn('no such package\n', done.stderr)
        self.assertIn('installing failed: pip says why above; the same command', done.stderr)
        self.assertEqual(done.stdout, '')
        self.assertEqual(self.launch().returncode, 0)
        self.assertLen(self.installs(), 2)
        # One that was killed left this mark.
        (self.checkout / '.venv' / 'imbreg_jax.unfinished').touch()
        self.assertEqual(self.launch().returncode, 0)
        self.assertLen(self.installs(), 3)

    def test_two_at_once_install_one_after_the_other(self):
        if not shutil.which('flock'):
            self.skipTest('this machine has no flock')
        lock = self.checkout / '.venv.lock'
        with open(lock, 'w') as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            process = subprocess.Popen(
                [str(self.checkout / 'launch.sh'), 'install'],
                env=self.environment(), stderr=subprocess.PIPE, text=True,
            )  # fmt: skip
            self.assertIn('waiting for another launch.sh', process.stderr.readline())
            self.assertEqual(self.installs(), [])
        _, err = process.communicate(timeout=300)
        self.assertEqual(process.returncode, 0, err)
        self.assertLen(self.installs(), 1)

    def test_an_installation_that_lasts_says_so_where_no_terminal_shows_it(self):
        self.program('sleep', '/bin/sleep 0.05')
        process = subprocess.Popen(
            [str(self.checkout / 'launch.sh'), 'install'],
            env=self.environment(SLOW=1), stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        while 'still installing after 40 s' not in (line := process.stderr.readline()):
            self.assertNotEqual(line, '')
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=300)
        self.assertEqual(process.returncode, 128 + signal.SIGTERM, err)

    def test_a_python_without_venv_is_said(self):
        done = self.launch(NO_VENV=1, PYTHON='python3')
        self.assert_refused(done, 2, 'it lacks its venv module (on Debian and Ubuntu: apt install')


def _stamps(folder: pathlib.Path) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in [folder, *folder.rglob('*')]}


if __name__ == '__main__':
    absltest.main()

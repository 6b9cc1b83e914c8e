"""launch.sh: what it runs, and how that ends."""

import re
import shutil
import signal
import subprocess
import sys

from absl.testing import absltest

import documents
from launching import ROOT, LaunchCase


class LaunchTest(LaunchCase):
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

    def test_a_signal_reaches_the_program_and_its_status_comes_back(self):
        program = (
            'import signal, sys, time\n'
            'for number in (1, 2, 15):\n'
            '    signal.signal(number, lambda number, _: sys.exit(128 + number))\n'
            'print("ready", flush=True)\n'
            'time.sleep(60)\n'
        )
        self.python('python3', run=f"exec {sys.executable} -c '{program}'")
        self.launch('install')
        for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
            # What a shell finds ignored it cannot trap, as under nohup; with a handler here it is
            # as usual there.
            self.addCleanup(signal.signal, number, signal.signal(number, lambda *_: None))
            process = subprocess.Popen(
                [str(self.checkout / 'launch.sh')],
                env=self.environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            )  # fmt: skip
            while process.stdout.readline() != 'ready\n':
                self.assertIsNone(process.poll())
            process.send_signal(number)
            _, err = process.communicate(timeout=30)
            self.assertEqual(process.returncode, 128 + number, err)

    def test_a_terminal_that_stops_what_writes_in_the_background_stops_nothing(self):
        self.launch('install')
        status, printed = self.on_terminal(before='stty tostop')
        self.assertEqual(status, 0)
        self.assertIn('runs -m imbreg_jax.main', printed)

    def test_a_closed_terminal_stops_nothing(self):
        for closed in ('2>&-', '<&-', '>&- 2>&-'):
            done = subprocess.run(
                ['bash', '-c', f'exec "$@" {closed}', 'bash', str(self.checkout / 'launch.sh')],
                env=self.environment(), cwd=self.folder, timeout=60,
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            )  # fmt: skip
            self.assertEqual(done.returncode, 0, closed)

    def test_a_copy_that_slurm_runs_finds_the_checkout_it_was_submitted_from(self):
        spool = self.folder / 'spool' / 'slurm_script'
        spool.parent.mkdir()
        shutil.copy(self.checkout / 'launch.sh', spool)
        job = {'SLURM_JOB_ID': 7, 'SLURM_SUBMIT_DIR': self.checkout}
        done = self.launch(script=spool, **job)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn(f'--config={self.checkout}/configs/u1_10.py', done.stdout)
        self.assertTrue((self.checkout / '.venv').exists())
        self.assertNotIn('SBATCH', self.launch('help', script=spool, **job).stdout)
        done = self.launch(script=spool, SLURM_JOB_ID=7, SLURM_SUBMIT_DIR=self.folder)
        self.assertEqual((done.returncode, done.stdout), (2, ''))
        self.assertIn('does not hold the package; under Slurm, submit from the', done.stderr)

    def test_a_job_whose_time_is_over_saves_and_queues_itself_and_no_other_again(self):
        program = (
            'import signal, sys, time\n'
            'signal.signal(15, lambda *_: sys.exit(143))\n'
            'print("ready", flush=True)\n'
            'time.sleep(60)\n'
        )
        self.python('python3', run=f"exec {sys.executable} -c '{program}'")
        self.program('scontrol', 'echo "$*"')
        self.launch('install')
        array = {'SLURM_JOB_ID': 7, 'SLURM_ARRAY_JOB_ID': 7, 'SLURM_ARRAY_TASK_ID': 2}
        for job, number, queued in (
            ({'SLURM_JOB_ID': 7}, signal.SIGUSR1, 'requeue 7\n'),
            # One element has the array's own number, which would mean all of them.
            (array, signal.SIGUSR1, 'requeue 7_2\n'),
            (array, signal.SIGTERM, ''),
            ({}, signal.SIGUSR1, ''),
        ):
            process = subprocess.Popen(
                [str(self.checkout / 'launch.sh')], env=self.environment(**job),
                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            )  # fmt: skip
            while process.stdout.readline() != 'ready\n':
                self.assertIsNone(process.poll())
            process.send_signal(number)
            out, err = process.communicate(timeout=30)
            self.assertEqual((process.returncode, out), (143, queued), err)

    def test_runs_the_tests_the_checkers_and_the_site_in_the_checkout(self):
        self.python('python3', run='pwd; [[ $* != *ruff*check* ]]')
        done = self.launch('test', '-k', 'paired')
        ran, where = done.stdout.splitlines()
        self.assertRegex(ran, r'^runs -m pytest -n 2 .*-k paired$')
        self.assertEqual(where, str(self.checkout))
        done = self.launch('lint')
        self.assertEqual(done.returncode, 1)  # That of the one that found something.
        self.assertEqual(
            [line for line in done.stdout.splitlines() if line.startswith('runs')],
            ['runs -m ruff check .', 'runs -m ruff format --check --quiet .', 'runs -m mypy'],
        )
        for asked, runs in ((), 'build --strict'), (('serve',), 'serve'):
            done = self.launch('docs', *asked)
            self.assertEqual(done.stdout.splitlines()[0], f'runs -m mkdocs {runs}')

    def test_hands_on_the_programs_status_and_input_and_explains_a_kill(self):
        self.python('python3', run='cat; exit "${STATUS:-0}"')
        config = ROOT / 'configs' / 'u1_10.py'
        for status in (0, 3, 137):
            done = self.launch('--config', config, stdin='asked\n', STATUS=status)
            self.assertEqual(done.returncode, status, done.stderr)
            self.assertEqual(done.stdout, f'runs -m imbreg_jax.main --config {config}\nasked\n')
            self.assertEqual('most likely memory ran out' in done.stderr, status == 137)
        done = self.launch('merge', '--workdir=w', STATUS=2)
        self.assertEqual(done.returncode, 2)
        self.assertEqual(done.stdout, 'runs -m imbreg_jax merge --workdir=w\n')


class DocumentsTest(absltest.TestCase):
    def test_the_selection_that_is_shown_selects_something(self):
        words = re.findall(r'launch\.sh test -k (\w+)', documents.TEXT)
        self.assertNotEmpty(words)
        for word in words:
            pattern = re.compile(rf'^ *(?:class |def test_)\w*{word}', re.M | re.I)
            tests = (path for path in (ROOT / 'tests').glob('*_test.py'))
            holders = [str(path) for path in tests if pattern.search(path.read_text('utf-8'))]
            self.assertNotEmpty(holders, f'-k {word} selects nothing')
            done = subprocess.run(
                [sys.executable, '-m', 'pytest', '--collect-only', '-q', '-k', word, holders[0]],
                cwd=ROOT, capture_output=True, text=True,
            )  # fmt: skip
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            self.assertRegex(done.stdout, rf'(?i)::\w*{word}')


if __name__ == '__main__':
    absltest.main()

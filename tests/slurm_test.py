"""launch.sh under a real Slurm, which `slurm_cluster.py` starts for it.

apt install slurm-wlm munge
./launch.sh test --slow tests/slurm_test.py
"""

import contextlib
import getpass
import subprocess
import sys
import time

import pytest
from absl.testing import absltest

import cutting
import slurm_cluster
from launching import ROOT, LaunchCase

# The program, on its way to a study whose chunks last a second longer, so that it can be met.
_STUDY = f'exec {sys.executable} {ROOT}/tests/cut_study.py slow@1 "${{@:3}}"'
# Ends when it is asked to, as a study does, and well when it is started again.
_WAITS = """
echo "start ${SLURM_RESTART_COUNT:-0}"
[[ ${SLURM_RESTART_COUNT:-0} == 0 ]] || exit 0
trap 'echo saved; exit 143' TERM
while :; do sleep 0.1; done
"""


@pytest.mark.slow
class SlurmTest(LaunchCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        if missing := slurm_cluster.missing():
            raise cls.skipTest(cls, f'this machine has no Slurm: {", ".join(missing)} not found')
        stack = contextlib.ExitStack()
        cls.addClassCleanup(stack.close)
        cls.cluster = stack.enter_context(slurm_cluster.started())

    def setUp(self):
        super().setUp()
        self.addCleanup(self._run, 'scancel', '--user', getpass.getuser())

    def environment(self, **variables):
        cluster = {name: self.cluster[name] for name in ('SLURM_CONF',)}
        found = super().environment(PYTHONPATH=ROOT, **variables) | cluster
        return found | {'PATH': f'{self.bin}:{self.cluster["PATH"]}'}

    def _run(self, *command):
        return subprocess.run(
            list(map(str, command)), env=self.environment(), cwd=self.checkout,
            capture_output=True, text=True, timeout=600,
        )  # fmt: skip

    def _submit(self, *arguments, wait=True) -> tuple[int, str]:
        """Submits launch.sh; its exit status where that is waited for, and the job's number."""
        options = [argument for argument in arguments if argument.startswith('--s:')]
        rest = [argument for argument in arguments if argument not in options]
        options = [f'--{option[4:]}' for option in options]
        done = self._run(
            'sbatch', '--parsable', *(['--wait'] if wait else []), *options, 'launch.sh', *rest
        )
        self.assertRegex(done.stdout, r'^\d+\n', done.stderr)
        return done.returncode, done.stdout.strip()

    def _log(self, job: str) -> str:
        return (self.checkout / f'slurm-{job}.out').read_text('utf-8')

    def _wait(self, is_so, what: str, seconds: float = 400.0) -> None:
        deadline = time.monotonic() + seconds
        while not is_so():
            logs = [path.read_text('utf-8')[-1500:] for path in self.checkout.glob('slurm-*.out')]
            self.assertLess(time.monotonic(), deadline, '\n'.join([what, *logs]))
            time.sleep(0.1)

    def _ended(self, job: str) -> bool:
        return not self._run('squeue', '--noheader', f'--job={job}').stdout.strip()

    def test_a_job_runs_the_program_and_ends_as_it_does(self):
        self.python('python3', run='exit "${STATUS:-0}"')
        status, job = self._submit('--config.repeats=3')
        self.assertEqual(status, 0, self._log(job))
        self.assertIn(
            f'runs -m imbreg_jax.main --config={self.checkout}/configs/u1_10.py '
            '--config.repeats=3\n',
            self._log(job),
        )
        status, job = self._submit('--config=nowhere.py', '--s:export=ALL,STATUS=2')
        self.assertEqual(status, 2, self._log(job))

    def test_two_arrays_at_once_install_once(self):
        jobs = [self._submit('--s:array=0-3', wait=False)[1] for _ in range(2)]
        self._wait(lambda: all(map(self._ended, jobs)), 'the arrays do not end')
        for job in jobs:
            for element in range(4):
                self.assertIn('runs -m imbreg_jax.main', self._log(f'{job}_{element}'))
        self.assertLen(self.installs(), 1)

    def test_an_array_is_the_study_also_where_an_element_is_killed_and_queued_again(self):
        self.python('python3', run=_STUDY)
        machine = cutting.Machine(self.folder)
        study = [f'--config={machine.config}']
        study.append(f'--config.compute.compilation_cache_dir={self.folder / "xla"}')
        whole, sharded = self.folder / 'whole', self.folder / 'sharded'
        status, job = self._submit(*study, f'--workdir={whole}')
        self.assertEqual(status, 0, self._log(job))
        _, job = self._submit('--s:array=2-8:2', *study, f'--workdir={sharded}', wait=False)
        second = sharded / 'shards' / '2_of_4'
        self._wait(lambda: any((second / 'checkpoints').glob('step_*')), 'no element begins')
        done = self._run('scontrol', 'requeue', f'{job}_4')
        self.assertEqual(done.returncode, 0, done.stderr)
        self._wait(lambda: self._ended(job), 'the array does not end')
        logs = {number: self._log(f'{job}_{number}') for number in (2, 4, 6, 8)}
        self.assertIn('shard 2 of 4, as SLURM_ARRAY_TASK_ID is 4', logs[4])
        self.assertIn('resuming in program 1 of 1', logs[4])
        self.assertIn('shard 1 of 4 is finished', logs[2])
        # The one that was queued again was the last, and merged them.
        self.assertIn('every shard is finished: merging them', logs[4])
        self.assertEqual(sum('merging them' in log for log in logs.values()), 1)
        self.assertTrue((sharded / 'report.html').is_file())
        for name in ('results.csv', 'metrics.jsonl', 'predictions.npz', 'weights.npz'):
            self.assertEqual((sharded / name).read_bytes(), (whole / name).read_bytes(), name)

    def test_a_job_whose_time_is_over_resumes_and_one_that_is_cancelled_does_not(self):
        self.python('python3', run=_WAITS)
        # Slurm warns up to a minute early, so at any time from the start on.
        _, job = self._submit('--s:time=2', '--s:signal=B:USR1@90', wait=False)
        _, other = self._submit(wait=False)
        self._wait(lambda: self._started(other), 'the other job does not start')
        self._run('scancel', other)
        self._wait(lambda: self._ended(job) and self._ended(other), 'the jobs do not end')
        self.assertRegex(
            self._log(job), f'start 0\n(.*\n)*saved\n(.*\n)*.*job {job} is queued again'
        )
        self.assertIn('start 1\n', self._log(job))
        self.assertNotIn('queued again', self._log(other))
        self.assertNotIn('start 1\n', self._log(other))

    def _started(self, job: str) -> bool:
        log = self.checkout / f'slurm-{job}.out'
        return log.exists() and 'start 0' in log.read_text('utf-8')


if __name__ == '__main__':
    absltest.main()

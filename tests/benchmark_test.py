"""The benchmark command in little: it ends with its tables, or with one sentence. No timing."""

import io
import json
import os
import pathlib
import subprocess
import sys
from unittest import mock

import jax
import pytest
from absl.testing import absltest, flagsaver, parameterized

from imbreg_jax.benchmark import ahead, command, commands, ours, remedies, variants

_ROOT = pathlib.Path(__file__).resolve().parent.parent


def _run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, '-m', 'imbreg_jax.benchmark', *arguments],
        cwd=_ROOT,
        # What is timed is not the matter, so it is compiled quickly.
        env=os.environ | {'JAX_PLATFORMS': 'cpu', 'JAX_DISABLE_MOST_OPTIMIZATIONS': '1'},
        capture_output=True,
        text=True,
    )


class BenchmarkTest(parameterized.TestCase):
    @pytest.mark.slow
    def test_measures_fewer_runs_than_there_are_devices(self):
        out = pathlib.Path(self.create_tempdir().full_path)
        small = ('--train_size=50', '--rounds=1', '--seconds=0.01')
        done = _run('--runs=1', *small, f'--out={out}')
        self.assertEqual(done.returncode, 0, done.stderr)
        rows = json.loads((out / 'benchmark.json').read_text())['rows']
        self.assertEqual([row['runs'] for row in rows], [1])
        self.assertEqual([row['runs_together'] for row in rows], [1])
        self.assertLen(rows[0]['images_per_second'], 1)
        self.assertIn(done.stdout.strip(), (out / 'benchmark.md').read_text('utf-8'))
        self.assertLen([x for x in done.stdout.splitlines() if x.startswith('| ')], 3)

    def test_a_mistake_is_one_sentence(self):
        done = _run('--runs=1,x')
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assertIn("--runs = '1,x': 'x' is no number of runs; it must be whole", done.stderr)
        self.assertEqual((done.stderr.count('\n'), done.stdout), (1, ''), done.stderr)

    @parameterized.parameters(
        ({'runs': ['0']}, "--runs = '0': '0' is no number of runs; it must be whole numbers"),
        ({'runs': []}, "--runs = '': it must name a number"),
        ({'train_size': 20}, 'training.batch_size = 50: '),
        ({'seconds': 0.0}, '--seconds = 0.0: a timed round must last longer'),
        # Before anything is timed.
        ({'against': 'torch'}, r"--against=torch: torch is not .* install -e '\.\[torch\]', or"),
    )
    def test_what_cannot_be_measured_is_refused(self, values, message):
        with (
            flagsaver.flagsaver(**values),
            mock.patch.object(command.importlib.util, 'find_spec', return_value=None),
            self.assertRaisesRegex(ValueError, message),
        ):
            command._checked(['benchmark'])

    def test_a_flag_that_cannot_be_parsed_is_one_sentence(self):
        with (
            mock.patch('sys.stderr', io.StringIO()) as said,
            self.assertRaises(SystemExit) as ended,
        ):
            command.parse(['benchmark', '--rounds=0'])
        self.assertEqual(ended.exception.code, 2)
        self.assertRegex(said.getvalue(), '^[^\\n]*--rounds=0[^\\n]*\\n$')

    def test_help_names_every_flag(self):
        with (
            mock.patch('sys.stdout', io.StringIO()) as said,
            self.assertRaises(SystemExit) as ended,
        ):
            command.parse(['benchmark', '--help'])
        self.assertEqual(ended.exception.code, 0)
        for flag in (
            'runs', 'against', 'rounds', 'seconds', 'train_size', 'precision', 'out',
            'ahead', r'\[no\]variants', r'\[no\]remedies', r'\[no\]commands', r'\[no\]hundred',
        ):  # fmt: skip
            self.assertRegex(said.getvalue(), rf'\n  --{flag}: ')


class CommandsTest(absltest.TestCase):
    def test_a_command_is_divided_at_what_it_says(self):
        said = [
            (1.0, 'quick: 30 runs'),
            (2.0, 'drawing data…'),
            (3.0, 'compiling…'),
            (6.0, 'training…'),
            (9.0, 'epoch 1 of 1, 9,000 images/s'),
            (10.0, 'evaluating…'),
            (14.0, 'making the report…'),
        ]
        found = commands.divided(said, 17.5)
        self.assertEqual(list(found.parts.values()), [2.0, 1.0, 3.0, 4.0, 4.0, 3.5])
        self.assertEqual((found.first_step, sum(found.parts.values())), (6.0, found.seconds))
        several = [(when, f'program 1 of 2, {line}') for when, line in said[1:-1]]
        several += [(11.0, 'program 2 of 2, compiling…'), (12.0, 'program 2 of 2, evaluating…')]
        found = commands.divided([said[0], *several, said[-1]], 17.5)
        self.assertEqual(list(found.parts.values()), [2.0, 1.0, 3.0, 4.0, 1.0, 3.0, 3.5])
        self.assertEqual(list(found.parts)[-2], commands.OTHERS)
        self.assertEqual(found.first_step, 6.0)
        report = commands.divided([], 2.0)
        self.assertEqual(report, (2.0, {commands.STARTING: 2.0}, None))

    def test_what_is_timed_is_run_and_a_failure_is_told(self):
        def python(script):
            return [sys.executable, '-c', script]

        say = 'import sys; print("{}…", file=sys.stderr); '
        found = commands.timed(python(''.join(map(say.format, commands.PARTS))))
        self.assertEqual(list(found.parts), [commands.STARTING, *commands.PARTS.values()])
        self.assertAlmostEqual(sum(found.parts.values()), found.seconds)
        with self.assertRaisesRegex(RuntimeError, '^no room$'):
            commands.timed(python('import sys; print("a"); sys.exit("b\\nno room")'))

    def test_the_table_has_a_row_for_each_command(self):
        rounds = [commands.divided([(1.0, 'training…')], seconds) for seconds in (3.0, 5.0, 9.0)]
        found = {'the paper': rounds, 'a report': [commands.divided([], 2.0)]}
        with (
            mock.patch.object(command.commands, 'measure', return_value=found),
            mock.patch.object(command.backend, 'prepare', return_value=jax.devices()),
        ):
            report, text = command._measure_commands()
        lines = text[-1].splitlines()
        self.assertEqual(
            lines[2:],
            [
                '| the paper | 5.0 (3.0 to 9.0) | 1.0 (1.0 to 1.0) | starting 1.0, training 4.0 |',
                '| a report | 2.0 (2.0 to 2.0) |  |  |',
            ],
        )
        json.dumps(report)


class AheadTest(absltest.TestCase):
    @pytest.mark.slow
    def test_the_form_of_accelerators_costs_what_it_did(self):
        [cost] = ahead.measure(2, ahead.LOWERED, 'highest')
        condition = ours.study_of(2, 500, 'highest').conditions[0]
        nominal = 2 * condition.architecture.training_multiplications
        # Minimal filtering leaves three quarters of the folded network's operations.
        self.assertBetween(cost.operations / nominal, 0.6, 0.9)
        self.assertLess(cost.bytes, 8e6)
        self.assertEqual((cost.memory, cost.seconds), (0, 0.0))

    def test_what_cannot_be_compiled_for_is_refused(self):
        ahead.refuse(ahead.LOWERED)
        with mock.patch('importlib.util.find_spec', return_value=None):
            with self.assertRaisesRegex(ValueError, '--ahead=v5e:2x2: .*pip install libtpu'):
                ahead.refuse('v5e:2x2')

    @pytest.mark.slow
    def test_compiles_for_a_tpu(self):
        try:
            ahead.refuse('v5e:2x2')
        except ValueError as error:
            self.skipTest(str(error))
        _, cost = ahead.measure(1, 'v5e:2x2', 'highest')
        self.assertGreater(cost.seconds, 0)
        self.assertBetween(cost.memory, 1e6, 16e9)


class VariantsTest(absltest.TestCase):
    def test_every_variant_is_a_study_and_is_timed_in_turn_with_the_paper(self):
        turns = []

        class Timed:
            def __init__(self, study):
                self.condition = study.conditions[0]

            def rate(self, seconds):
                turns.append(self.condition)
                return 12.0 if turns[0] == self.condition else 4.0

            def release(self):
                pass

        with mock.patch.object(variants.ours, 'Training', Timed):
            found = variants.measure(2, 100, 'highest', 2, 0.1)
        self.assertEqual(list(found), list(variants.VARIANTS))
        self.assertLen(set(turns[1::2]), len(found))
        self.assertEqual(set(turns[::2]), {turns[0]})
        for beside in found.values():
            self.assertEqual(beside.ratios, [3.0, 3.0])


class RemediesTest(absltest.TestCase):
    def test_every_remedy_is_timed_in_turn_with_none(self):
        turns = []

        class Timed:
            def __init__(self, study):
                self.study = study
                self.remedy = study.conditions[0].remedy

            def epoch(self):
                turns.append(self.remedy.name)
                return 2.0 if turns[0] == self.remedy.name else 3.0

            def release(self):
                pass

        with mock.patch.object(remedies.ours, 'Training', Timed):
            found = remedies.measure(2, 5000, 'highest', 2)
        self.assertEqual(list(found), list(remedies.REMEDIES))
        self.assertEqual({beside.refused for beside in found.values()}, {''})
        # Each once before it is timed, and then after none.
        self.assertEqual(
            turns, ['', *(turn for name in found for turn in (name, '', name, '', name))]
        )
        for beside in found.values():
            self.assertEqual(beside.ratios, [1.5, 1.5])
        self.assertEqual((found['conr'].passes, found['ensemble'].passes), (2, 10))

    def test_what_cannot_act_is_said_below_the_table(self):
        timed = {
            'some': remedies.Beside(2, [3.0, 4.0, 9.0], [2.0, 2.0, 2.0]),
            'none': remedies.Beside(0, [], [], 'it refuses.'),
        }
        table, below = command._remedies_table(timed)
        self.assertEqual(table.splitlines()[2:], ['| some | 2 | 2.00 (1.50 to 4.50) |'])
        self.assertEqual(below, 'none: it refuses.')

    @pytest.mark.slow
    def test_an_epoch_has_its_end(self):
        fields = {'train_distribution': remedies.LAW, 'remedy': 'fds', 'training.epochs': 2}
        training = ours.Training(ours.study_of(2, 100, 'highest', fields))
        self.assertEqual(training.state.remedy.epochs.tolist(), [0, 0])
        self.assertGreater(training.epoch(), 0)
        self.assertEqual(training.state.remedy.epochs.tolist(), [1, 1])


class AgainstTorchTest(absltest.TestCase):
    """What PyTorch's rates become; it is timed by no test, and need not be installed."""

    def test_rounds_take_turns_and_ratios_are_of_neighbours(self):
        turns = []

        def theirs(which, images, networks):
            turns.append(which)
            return {'plain': 10.0, 'compiled': 20.0, 'stacked': 5.0, 'best': 50.0}[which]

        def ours(seconds):
            turns.append('ours')
            return 100.0 * turns.count('ours')

        with (
            flagsaver.flagsaver(rounds=2),
            mock.patch.object(command, 'torch_rate', theirs),
        ):
            found = command._against_torch(mock.Mock(rate=ours))
        kinds = ('plain', 'compiled', 'stacked', 'best')
        self.assertEqual(turns, [turn for which in kinds for turn in (which, 'ours')] * 2)
        ratios = {'plain': [10, 50], 'compiled': [10, 30], 'stacked': [60, 140], 'best': [8, 16]}
        self.assertEqual(found['ratios'], ratios)
        header, _, *rows = found['text'][0].splitlines()
        self.assertIn('images/s (range)', header)
        self.assertIn('30.00 (10.00 to 50.00)', rows[1])
        self.assertIn('12.00 (8.00 to 16.00)', rows[4])

    def test_its_rate_is_of_training_alone_and_its_failure_is_told(self):
        done = subprocess.CompletedProcess([], 0, 'x\n{"images_trained": 90, "seconds": 4.5}\n', '')
        with mock.patch.object(command.subprocess, 'run', return_value=done) as run:
            self.assertEqual(command.torch_rate('best', 1000, 2), 20.0)
            self.assertContainsSubset(
                {'--which=best', '--images=1000', '--networks=2'}, run.call_args.args[0]
            )
            done.returncode, done.stderr = 1, 'Traceback\nRuntimeError: no room\n'
            with self.assertRaisesRegex(RuntimeError, '^RuntimeError: no room$'):
                command.torch_rate('best', 1000, 2)


if __name__ == '__main__':
    absltest.main()

"""Tests of imbreg_jax.runner.display: few lines in a log, one line that changes on a terminal."""

import io
import re
import sys
import types
from unittest import mock

from absl.testing import absltest

from imbreg_jax.runner import display


class _Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


class LogTest(absltest.TestCase):
    def setUp(self):
        super().setUp()
        self.clock = _Clock()
        self.enter_context(mock.patch.object(display.sys, 'stderr', io.StringIO()))

    def lines(self, act, total=1000, programs=1) -> list[str]:
        with self.assertLogs('imbreg_jax', 'INFO') as logs:
            with display.Display(total, programs, self.clock) as made:
                act(made)
        return [record.getMessage() for record in logs.records]

    def test_that_the_first_chunk_is_done_is_said_at_once(self):
        lines = self.lines(lambda made: self.epochs(made, 2, 1.0, chunks=20))
        self.assertEqual(lines[0], 'training…')
        self.assertEqual(lines.count('training…'), 1)

    def epochs(self, made, count, seconds, images=100, chunks=1):
        for epoch in range(count):
            for chunk in range(chunks):
                self.clock.now += seconds / chunks
                made.trained(images // chunks, epoch + (chunk + 1) / chunks, count, 2)

    def test_a_long_epoch_has_a_line_with_its_rate_and_what_is_left(self):
        lines = self.lines(lambda made: self.epochs(made, 10, 50.0))
        self.assertLen(lines, 11)
        self.assertEqual(lines[1], 'epoch 1 of 10')  # A first chunk compiles, and tells no rate.
        self.assertEqual(lines[3], 'epoch 3 of 10, 2 images/s, about 6 min left')
        self.assertEqual(lines[10], 'epoch 10 of 10, 2 images/s')

    def test_short_epochs_share_lines_and_the_last_has_one(self):
        lines = self.lines(lambda made: self.epochs(made, 95, 1.0, images=10), total=950)
        said = [int(re.match(r'epoch (\d+) of 95', line)[1]) for line in lines[1:]]
        self.assertEqual(said, [1, 11, 21, 31, 41, 51, 61, 71, 81, 91, 95])

    def test_an_epoch_that_lasts_for_ever_is_reported_on(self):
        lines = self.lines(lambda made: self.epochs(made, 2, 3000.0, chunks=100))
        self.assertBetween(len(lines), 98, 102)
        self.assertRegex(lines[2], r'^epoch 0\.\d of 2, .* left$')

    def test_phases_are_said_once_and_of_later_programs_only_when_time_has_passed(self):
        def act(made):
            for program in (1, 2, 3):
                made.begin(program)
                for _ in range(2):
                    made.phase('drawing data')
                self.epochs(made, 2, 1.0)
                made.phase('evaluating')
                self.clock.now += 7.0

        lines = [re.sub(', .* images/s.*', '', line[16:]) for line in self.lines(act, programs=3)]
        self.assertEqual(
            lines, ['drawing data…', 'training…', 'evaluating…', 'drawing data…', 'epoch 2 of 2']
        )

    def test_what_an_earlier_start_trained_is_not_part_of_the_rate(self):
        def act(made):
            made.skip(800)
            self.epochs(made, 2, 100.0)

        self.assertEqual(self.lines(act)[-1], 'epoch 2 of 2, 1 images/s')


class BarTest(absltest.TestCase):
    def setUp(self):
        super().setUp()
        # What is logged has no part in what is drawn.
        self.enter_context(mock.patch.object(display.logger, 'propagate', False))
        self.clock = _Clock()

    def shown(self, stderr, skipped=100, total=400) -> str:
        with mock.patch.object(display.sys, 'stderr', stderr):
            with display.Display(total, 1, self.clock) as made:
                made.phase('drawing data')
                made.phase('compiling')
                made.skip(skipped)
                for epoch in (1, 2):
                    self.clock.now += 50.0
                    made.trained(50, float(epoch), 3, 2)
                made.phase('evaluating')
        return stderr.getvalue()

    def assert_a_bar(self, text: str):
        for phase in ('drawing data', 'compiling', 'evaluating'):
            self.assertRegex(text, rf'\r{phase}: ')
        self.assertRegex(text, r'training: +38%.*, epoch 1 of 3, 2 runs')
        self.assertRegex(text, r'evaluating: +50%.*, 1 images/s, about 3 min left, epoch 2 of 3')

    def test_what_an_earlier_start_trained_is_not_part_of_its_rate(self):
        stderr = io.StringIO()
        stderr.isatty = lambda: True
        text = self.shown(stderr, skipped=10**6, total=10**6 + 200)
        self.assertIn('1 images/s, about 2 min left', text)

    def test_a_terminal_shows_the_phase_before_the_bar(self):
        stderr = io.StringIO()
        stderr.isatty = lambda: True
        with self.assertNoLogs('imbreg_jax'):
            self.assert_a_bar(self.shown(stderr))

    def test_so_does_a_notebook(self):
        shell = types.SimpleNamespace(config={'IPKernelApp': {}})
        ipython = types.SimpleNamespace(get_ipython=lambda: shell)
        with mock.patch.dict(sys.modules, {'IPython': ipython}):
            self.assert_a_bar(self.shown(io.StringIO()))

    def test_no_bar_where_nobody_looks(self):
        shells = {'no shell': None, 'a console': types.SimpleNamespace(config={})}
        for name, shell in shells.items():
            ipython = types.SimpleNamespace(get_ipython=lambda shell=shell: shell)
            with self.subTest(name), mock.patch.dict(sys.modules, {'IPython': ipython}):
                self.assertEqual(self.shown(io.StringIO()), '')
        closed = io.StringIO()
        closed.close()
        for stderr in (None, closed):
            with mock.patch.object(display.sys, 'stderr', stderr):
                self.assertFalse(display._is_watched())


if __name__ == '__main__':
    absltest.main()

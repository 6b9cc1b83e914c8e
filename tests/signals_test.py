"""Tests of imbreg_jax.signals: which signal asks, and which one does not wait."""

import os
import signal
import threading
from unittest import mock

from absl.testing import absltest, parameterized

from imbreg_jax import signals
from imbreg_jax.runner.stop import StopRequest


class SignalsTest(parameterized.TestCase):
    def setUp(self):
        super().setUp()
        for number in (signal.SIGTERM, signal.SIGINT):
            self.addCleanup(signal.signal, number, signal.getsignal(number))

    def test_what_the_work_raises_is_handed_back(self):
        for error in (None, KeyError('x'), SystemExit(3)):
            does = mock.Mock(side_effect=error)
            found = signals.work(does, ('SIGTERM',), StopRequest(), mock.Mock(), 'gone')
            does.assert_called_once_with()
            self.assertIs(found, error)

    def test_work_that_outlasts_the_patience_is_abandoned(self):
        release = threading.Event()
        self.addCleanup(release.set)

        def does():
            os.kill(os.getpid(), signal.SIGTERM)
            release.wait(30)

        leave, said = mock.Mock(), []
        with (
            mock.patch.object(signals, 'GRACE_SECONDS', 0.2),
            mock.patch.object(signals.terminal, 'say', said.append),
            mock.patch.object(signals.terminal, 'stop_at_once', side_effect=SystemExit) as ended,
            self.assertRaises(SystemExit),
        ):
            signals.work(does, ('SIGTERM',), StopRequest(), leave, 'it is gone')
        ended.assert_called_once_with(signal.SIGTERM)
        leave.assert_called_once_with()
        self.assertEqual(
            said, ['SIGTERM: stopping as soon as what is in hand is saved', 'it is gone']
        )

    def _handled(self, given) -> tuple[StopRequest, mock.Mock, mock.Mock]:
        """Delivers (second, name) to the handlers; returns the request, `leave` and `_exit`."""
        stop, leave = StopRequest(), mock.Mock()
        signals._handle(('SIGTERM', 'SIGINT'), stop, leave)
        with (
            mock.patch.object(signals.terminal.os, '_exit') as end,
            mock.patch.object(signals.time, 'monotonic') as now,
        ):
            for now.return_value, name in given:
                signal.raise_signal(getattr(signal, name))
        return stop, leave, end

    @parameterized.parameters('SIGINT', 'SIGTERM')
    def test_a_second_interrupt_ends_at_once(self, first):
        stop, leave, end = self._handled([(5.0, first), (6.5, 'SIGINT')])
        end.assert_called_once_with(130)
        leave.assert_called_once_with()
        self.assertEqual(stop.signal, getattr(signal, first))

    def test_one_interrupt_that_comes_twice_is_one(self):
        stop, leave, end = self._handled([(5.0, 'SIGINT'), (5.0, 'SIGINT'), (5.9, 'SIGINT')])
        end.assert_not_called()
        leave.assert_not_called()
        self.assertEqual(stop.signal, signal.SIGINT)

    def test_a_scheduler_that_repeats_itself_ends_nothing(self):
        _, _, end = self._handled([(5.0, 'SIGTERM'), (8.0, 'SIGTERM')])
        end.assert_not_called()


if __name__ == '__main__':
    absltest.main()

"""Output that cannot fail: readers that went away or do not read, full disks, narrow encodings."""

import io
import os
import pty
import subprocess
import sys
import threading
import time
from unittest import mock

from absl.testing import absltest

from imbreg_jax import terminal


class LookTest(absltest.TestCase):
    def test_colour_is_for_terminals_that_have_it_and_whoever_wants_it(self):
        watched = mock.Mock(**{'isatty.return_value': True})
        unset = {'NO_COLOR': '', 'TERM': 'xterm'}
        for variables, expected in (
            ({}, True),
            ({'NO_COLOR': '1'}, False),
            ({'TERM': 'dumb'}, False),
        ):
            with mock.patch.dict(os.environ, {**unset, **variables}):
                self.assertEqual(terminal.has_colour(watched), expected, variables)
                self.assertFalse(terminal.has_colour(io.StringIO()))
                self.assertFalse(terminal.has_colour(None))


class StreamTest(absltest.TestCase):
    def _pipe(self) -> tuple[int, terminal.Stream]:
        """A pipe's end to read from, and a stream to its other end."""
        read, write = os.pipe()
        return read, terminal.Stream(self.enter_context(open(write, 'w', encoding='utf-8')))

    def test_writes_all_of_a_text_that_is_longer_than_a_pipe(self):
        read, stream = self._pipe()
        text = 'é' * 100_000
        writer = threading.Thread(target=print, args=(text,), kwargs={'file': stream})
        writer.start()
        received = b''
        while len(received) < 200_001:
            received += os.read(read, 50_000)
        writer.join()
        self.assertEqual(received.decode(), text + '\n')

    def test_a_reader_that_went_away_is_not_missed(self):
        read, stream = self._pipe()
        os.close(read)
        self.assertEqual(stream.write('a'), 1)
        stream.flush()

    def test_a_reader_that_does_not_read_is_waited_for_once(self):
        read, stream = self._pipe()
        stream.patience = 0.1
        stream.write('a' * 200_000)
        # The wait is over, so that no other text waits until somebody reads.
        stream.patience = 1e6
        stream.write('b')
        received = b''
        while len(received) < 200_000:
            received += os.read(read, 50_000)
        while not received.endswith(b'c'):
            stream.write('c')
            os.set_blocking(read, False)
            try:
                received += os.read(read, 50_000)
            except BlockingIOError:
                time.sleep(0.01)  # The writer of the a's has yet to end.
        self.assertEqual(received.rstrip(b'c'), b'a' * 200_000)

    def test_a_descriptor_that_never_waits_is_written_to_all_the_same(self):
        read, stream = self._pipe()
        os.set_blocking(stream.fileno(), False)
        stream.patience = 0.1
        stream.write('a' * 200_000)
        received = b''
        while len(received) < 200_000:
            received += os.read(read, 50_000)
        self.assertEqual(received, b'a' * 200_000)

    def test_a_terminal_that_is_held_is_not_waited_for(self):
        leader, follower = pty.openpty()
        stream = terminal.Stream(self.enter_context(open(follower, 'w')))
        self.assertTrue(stream.isatty())
        stream.patience = 0.1
        for _ in range(20):
            stream.write('a' * 10_000)
        self.assertTrue(stream._writer.is_alive())
        # Before its descriptor is another file's, into which it would go on.
        os.close(leader)
        stream._writer.join()

    def test_a_full_disk_takes_nothing(self):
        with open('/dev/full', 'w') as full:
            stream = terminal.Stream(full)
            print('a', file=stream, flush=True)

    def test_a_stream_that_was_closed_takes_everything(self):
        stream = terminal.Stream(None)
        print('a', file=stream, flush=True)
        self.assertFalse(stream.isatty())
        with self.assertRaises(OSError):
            stream.fileno()
        closed = io.StringIO()
        closed.close()
        print('a', file=terminal.Stream(closed), flush=True)

    def test_what_an_encoding_lacks_is_spelt_out(self):
        inner = io.TextIOWrapper(io.BytesIO(), encoding='ascii')
        with mock.patch.object(inner.buffer, 'fileno', side_effect=OSError, create=True):
            stream = terminal.Stream(inner)
        self.assertEqual(stream.encoding, 'ascii')
        stream.write('1 ± 2 → −3 µs … é\udcff')
        stream.flush()
        self.assertEqual(inner.buffer.getvalue(), b'1 +- 2 -> -3 us ... ??')


class GuardedTest(absltest.TestCase):
    def test_gives_the_streams_back(self):
        before = sys.stdout, sys.stderr
        with terminal.guarded():
            self.assertIsInstance(sys.stderr, terminal.Stream)
        self.assertEqual((sys.stdout, sys.stderr), before)

    def test_no_file_takes_the_place_of_a_closed_descriptor(self):
        code = (
            'import os, sys, tqdm, logging\n'
            'from imbreg_jax import terminal\n'
            'with terminal.guarded():\n'
            '    file = open(sys.argv[1], "w")\n'
            '    os.write(2, b"a library speaks"); os.write(1, b"and again")\n'
            '    logging.basicConfig(); logging.warning("a"); print("b"); list(tqdm.tqdm("c"))\n'
            '    print(file.fileno(), file=file)\n'
        )
        path = self.create_tempfile().full_path
        done = subprocess.run(
            ['sh', '-c', 'exec "$@" <&- >&- 2>&-', 'sh', sys.executable, '-c', code, path],
            timeout=60,
        )
        self.assertEqual(done.returncode, 0)
        with open(path) as file:
            self.assertGreater(int(file.read()), 2)


if __name__ == '__main__':
    absltest.main()

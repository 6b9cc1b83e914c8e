"""Tests of imbreg_jax.study.reading."""

import os
import pathlib
import socket

from absl.testing import absltest

from imbreg_jax.study import reading


class ReadRegularTest(absltest.TestCase):
    def test_reads_a_file_and_the_file_behind_a_link(self):
        folder = pathlib.Path(self.create_tempdir().full_path)
        (folder / 'file').write_bytes(b'abc')
        (folder / 'link').symlink_to('file')
        for name in ('file', 'link'):
            self.assertEqual(reading.read_regular(str(folder / name), 3), b'abc')
        with self.assertRaisesRegex(reading.NoRegularFile, 'at most 2e-06 MB are read'):
            reading.read_regular(str(folder / 'file'), 2)
        with self.assertRaises(FileNotFoundError):
            reading.read_regular(str(folder / 'nothing'), 3)

    def test_refuses_what_may_have_no_end(self):
        folder = self.create_tempdir().full_path
        os.mkfifo(f'{folder}/pipe')
        os.symlink('pipe', f'{folder}/link')
        # Beside the working directory: a socket's path may have 108 characters.
        bound = socket.socket(socket.AF_UNIX)
        self.addCleanup(bound.close)
        here = os.getcwd()
        self.addCleanup(os.chdir, here)
        os.chdir(folder)
        bound.bind('socket')
        for name, kind in (
            ('pipe', 'a pipe'),
            ('link', 'a pipe'),
            ('socket', 'a socket'),
            ('.', 'a folder'),
            ('/dev/zero', 'a device'),
        ):
            with self.assertRaisesRegex(reading.NoRegularFile, f'it is {kind}, not a regular'):
                reading.read_regular(name, 10)

    def test_a_pipe_that_takes_a_files_place_is_not_waited_for(self):
        folder = self.create_tempdir().full_path
        os.mkfifo(f'{folder}/pipe')
        look, looked = os.stat, []

        def swapped(path, **rest):
            looked.append(path)
            return look(__file__, **rest)

        with absltest.mock.patch.object(reading.os, 'stat', swapped):
            with self.assertRaisesRegex(reading.NoRegularFile, 'it is a pipe'):
                reading.read_regular(f'{folder}/pipe', 10**9)
        self.assertNotEmpty(looked)


class PrintableTest(absltest.TestCase):
    def test_escapes_what_a_terminal_obeys_and_keeps_the_rest(self):
        self.assertEqual(
            reading.printable('a é\x1b[2J\n\u202e\udcff'), 'a é\\x1b[2J\\n\\u202e\\udcff'
        )


if __name__ == '__main__':
    absltest.main()

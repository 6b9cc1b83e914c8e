"""Tests of imbreg_jax.results.checkpoints."""

import errno
import json
import pathlib
import subprocess
from unittest import mock

import numpy as np
from absl.testing import absltest, parameterized

from imbreg_jax.results import checkpoints
from imbreg_jax.results.checkpoints import CheckpointError


def _truncate(path: pathlib.Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _flip(path: pathlib.Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


class CheckpointsTest(parameterized.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = pathlib.Path(self.create_tempdir().full_path) / 'checkpoints'

    def _save(self, step: int, keep: int = 2) -> pathlib.Path:
        arrays = [np.float32([step, np.nan]), np.int32(-step), np.float64([[1 / 3]])]
        return checkpoints.save(self.folder, step, arrays, {'at': step}, keep)

    def _files(self, path: pathlib.Path) -> list[pathlib.Path]:
        return sorted(p for p in path.rglob('*') if p.is_file())

    def test_gives_back_what_was_saved(self):
        self.assertIsNone(checkpoints.restore(self.folder))
        self._save(3)
        found = checkpoints.restore(self.folder)
        self.assertEqual(found.position, {'at': 3})
        self.assertEqual(found.damaged, [])
        np.testing.assert_array_equal(found.arrays[0], np.float32([3, np.nan]))
        np.testing.assert_array_equal(found.arrays[2], [[1 / 3]])
        self.assertEqual([a.dtype for a in found.arrays], [np.float32, np.int32, np.float64])
        self.assertEqual([a.shape for a in found.arrays], [(2,), (), (1, 1)])

    def test_without_arrays_keeps_the_position(self):
        checkpoints.save(self.folder, 1, [], {'at': 1}, 1)
        found = checkpoints.restore(self.folder)
        self.assertEqual((found.arrays, found.position), ([], {'at': 1}))

    def test_keeps_so_many_and_nothing_else(self):
        for step in range(1, 6):
            self._save(step, keep=2)
        self.assertEqual(checkpoints.names(self.folder), ['step_000000000004', 'step_000000000005'])
        self.assertLen(list(self.folder.iterdir()), 2)

    @parameterized.parameters(_truncate, _flip, pathlib.Path.unlink)
    def test_any_damage_to_any_file_is_named_and_the_one_before_used(self, damage):
        self._save(1)
        newest = self._save(2)
        for number, path in enumerate(self._files(newest)):
            with self.subTest(path.name):
                content = path.read_bytes()
                if not content and damage is not pathlib.Path.unlink:
                    continue
                damage(path)
                found = checkpoints.restore(self.folder)
                self.assertEqual(found.position, {'at': 1}, number)
                self.assertStartsWith(found.damaged[0], 'step_000000000002 (')
                self.assertLen(found.damaged, 1)
                path.write_bytes(content)
        self.assertEqual(checkpoints.restore(self.folder).position, {'at': 2})

    def test_refuses_where_none_is_good(self):
        for step in (1, 2):
            _truncate(self._save(step) / 'position.json')
        with self.assertRaisesRegex(
            CheckpointError, r'step_0+2 \(position.json is damaged\), step_0+1 \(position.json is'
        ):
            checkpoints.restore(self.folder)

    @parameterized.parameters('[]', '{}', 'null', '3', '{"arrays": "x"}')
    def test_a_manifest_that_lists_nothing_is_damaged(self, text):
        (self._save(1) / 'manifest.json').write_text(text)
        with self.assertRaisesRegex(CheckpointError, 'manifest.json is damaged'):
            checkpoints.restore(self.folder)

    def test_what_a_checkpoint_needs_elsewhere_counts_too(self):
        self._save(1)
        self._save(2)
        reason = lambda position: 'a file is gone' if position['at'] == 2 else None  # noqa: E731
        found = checkpoints.restore(self.folder, reason)
        self.assertEqual(found.position, {'at': 1})
        self.assertEqual(found.damaged, ['step_000000000002 (a file is gone)'])

    def test_a_damaged_newer_one_never_costs_a_good_one(self):
        self._save(1, keep=1)
        newest = self._save(9, keep=2)
        _truncate(newest / 'position.json')
        self._save(2, keep=1)
        self.assertEqual(checkpoints.names(self.folder), ['step_000000000002'])

    def test_a_save_that_fails_leaves_what_was_there(self):
        self._save(1)
        with mock.patch.object(checkpoints.files, 'write_json', side_effect=OSError('full')):
            with self.assertRaisesRegex(OSError, 'full'):
                self._save(2)
        self.assertEqual(checkpoints.restore(self.folder).position, {'at': 1})
        self.assertLen(list(self.folder.iterdir()), 1)

    def test_replaces_a_checkpoint_of_the_same_step(self):
        self._save(1)
        path = self._save(2)
        _truncate(path / 'position.json')
        self._save(2)
        found = checkpoints.restore(self.folder)
        self.assertEqual((found.position, found.damaged), ({'at': 2}, []))

    def test_remains_of_a_killed_process_are_no_checkpoints(self):
        self._save(1)
        for name in ('.step_000000000002.77', '.step_000000000000.77.removed'):
            (self.folder / name).mkdir()
        self.assertEqual(checkpoints.restore(self.folder).position, {'at': 1})
        self._save(2)
        self.assertLen(list(self.folder.iterdir()), 2)

    def test_arrays_that_orbax_cannot_read_are_said_to_be_so(self):
        path = self._save(1)
        for file in self._files(path / 'arrays'):
            file.write_bytes(b'of another version')
        manifest = checkpoints._digests(path)
        (path / 'manifest.json').write_text(json.dumps(manifest))
        with self.assertRaisesRegex(CheckpointError, 'version of orbax-checkpoint cannot read it'):
            checkpoints.restore(self.folder)

    def test_a_limit_on_files_is_an_error_of_the_file_system(self):
        self._save(3)
        limit = mock.patch.object(checkpoints.resource, 'getrlimit', return_value=(9000, 9000))
        with limit, self.assertRaises(OSError) as caught:
            self._save(4)
        self.assertEqual(caught.exception.errno, errno.EFBIG)
        self.assertEqual(checkpoints.names(self.folder), ['step_000000000003'])

    def test_a_full_disk_is_an_error_of_the_file_system(self):
        self.folder.mkdir()
        mount = ['mount', '-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', str(self.folder)]
        try:
            mounted = subprocess.run(mount, capture_output=True).returncode == 0
        except OSError:
            mounted = False
        if not mounted:
            self.skipTest('this machine does not let us mount a file system')
        self.addCleanup(subprocess.run, ['umount', '-l', str(self.folder)], check=True)
        self._save(1)
        with self.assertRaises(OSError) as caught:
            big = np.random.default_rng(0).normal(size=10**5)
            checkpoints.save(self.folder, 2, [big], {'at': 2}, 2)
        self.assertEqual(caught.exception.errno, errno.ENOSPC)
        self.assertEqual(checkpoints.restore(self.folder).position, {'at': 1})

    def test_what_orbax_says_of_the_file_system_is_one_of_its_errors(self):
        text = 'INTERNAL: Failed to write 273 bytes: Disk quota exceeded [os_error_code=122]'
        with mock.patch('orbax.checkpoint.PyTreeCheckpointer.save', side_effect=ValueError(text)):
            with self.assertRaises(OSError) as caught:
                self._save(1)
        self.assertEqual(caught.exception.errno, errno.EDQUOT)
        with mock.patch('orbax.checkpoint.PyTreeCheckpointer.save', side_effect=ValueError('x')):
            with self.assertRaisesRegex(ValueError, 'x'):
                self._save(1)


if __name__ == '__main__':
    absltest.main()

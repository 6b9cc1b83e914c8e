"""Tests of imbreg_jax.results.kept_tables: tables of targets in a workdir."""

import hashlib
import json
import os
import pathlib
from unittest import mock

import numpy as np
from absl.testing import absltest

from imbreg_jax import study as study_lib
from imbreg_jax.analysis import loading
from imbreg_jax.results import kept_tables
from imbreg_jax.results.workdir import Workdir, WorkdirError, read_config
from imbreg_jax.study import laws


class KeptTablesTest(absltest.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = pathlib.Path(self.create_tempdir().full_path)
        self.path = self.folder / 'w'
        self.file = self.folder / 'ages.csv'
        self.file.write_text('age\n3\n1\n2\n')
        self.study = self._study(f'table({str(self.file)!r})')
        (self.digest,) = self.study.tables

    def _study(self, law: str, source=None) -> study_lib.Study:
        config = study_lib.default_config()
        config.train_distribution = law
        config.test_distributions = ('u1_10', f'mixture(u1_5, 1, {law}, 1)')
        return study_lib.resolve(config, source)

    def _begin(self) -> None:
        with Workdir(self.path) as workdir:
            workdir.write_config(self.study, ['cpu 0'], 'cpu', {'started': 'now'})

    def _kept(self) -> pathlib.Path:
        return self.path / 'distributions' / f'{self.digest[:16]}.f64'

    def test_a_workdir_holds_the_values_and_nothing_else(self):
        self._begin()
        content = self._kept().read_bytes()
        np.testing.assert_array_equal(np.frombuffer(content, '<f8'), [1, 2, 3])
        self.assertEqual(hashlib.sha256(content).hexdigest(), self.digest)
        self.assertEqual([p.name for p in self._kept().parent.iterdir()], [self._kept().name])

    def test_a_study_is_the_same_where_its_file_is_moved_or_written_otherwise(self):
        self._begin()
        moved = self.folder / 'elsewhere.txt'
        moved.write_text('3.0;\n2.0;\n1.0;\n')
        self.file.unlink()
        study = self._study(f'table({str(moved)!r})')
        with Workdir(self.path) as workdir:
            self.assertEqual(workdir.check(study), self.study)
        moved.write_text('3\n2\n1.5\n')
        with self.assertRaisesRegex(WorkdirError, 'another config .train_distribution: table.*'):
            Workdir(self.path).check(self._study(f'table({str(moved)!r})'))

    def test_the_same_command_goes_on_where_the_file_is_gone(self):
        self._begin()
        self.file.unlink()
        source = kept_tables.source_of_user(self.path)
        for law in (
            f'table({str(self.file)!r})',
            "table('ages.csv')",
            f"table('other.csv', sha256='{self.digest}')",
        ):
            with self.assertLogs('imbreg_jax', 'WARNING') as logs:
                study = self._study(law, source)
            self.assertIn('is not there; its values are taken from', logs.output[0])
            with Workdir(self.path) as workdir:
                self.assertEqual(workdir.check(study), self.study)
            np.testing.assert_array_equal(study.conditions[0].distribution.ppf([0, 1]), [1, 3])
        for law in ("table('other.csv')", "table('ages.csv', sha256='01234567')"):
            with self.assertRaisesRegex(
                study_lib.ConfigError,
                'cannot be read: No such file or directory; and workdir .* keeps no',
            ):
                self._study(law, source)
        # A file that is there is what the user means, whatever the workdir has.
        self.file.write_text('5\n6\n')
        self.assertNotEqual(self._study(f'table({str(self.file)!r})', source), self.study)

    def test_a_workdir_is_read_without_opening_the_paths_that_it_names(self):
        self._begin()
        held = read_config(self.path / 'config.json')
        # A stranger's config: the path is a pipe that would never end.
        self.file.unlink()
        os.mkfifo(self.file)
        study = study_lib.restore(held, kept_tables.source([self.path]))
        self.assertEqual(study, self.study)
        np.testing.assert_array_equal(study.conditions[0].distribution.ppf([0, 0.5, 1]), [1, 2, 3])
        unknown = study_lib.restore(held)
        self.assertEqual(unknown, self.study)
        self.assertFalse(unknown.conditions[0].distribution.known)
        self.assertEqual(study_lib.differences(unknown, self.study), [])
        with Workdir(self.path) as workdir:
            workdir.check(self.study)

    def test_values_that_are_not_what_was_written_are_unknown_and_written_anew(self):
        self._begin()
        good = self._kept().read_bytes()
        held = read_config(self.path / 'config.json')
        source = kept_tables.source([self.path])
        for damaged in (b'', good[:-1], good + good, good[8:] + good[:8], b'\0' * 24):
            self._kept().write_bytes(damaged)
            study = study_lib.restore(held, source)
            self.assertFalse(study.conditions[0].distribution.known)
        self._begin()
        self.assertEqual(self._kept().read_bytes(), good)
        self._kept().unlink()
        os.mkfifo(self._kept())
        self.assertIsNone(source('', self.digest))

    def test_a_digest_that_a_stranger_chose_makes_no_law_of_anything(self):
        self._begin()
        source = kept_tables.source([self.path])
        for values in ([2.0, 1.0], [1.0, np.inf], [np.nan, 1.0], [1.0, 1.0], [1.0]):
            content = np.array(values, '<f8').tobytes()
            digest = hashlib.sha256(content).hexdigest()
            (self._kept().parent / f'{digest[:16]}.f64').write_bytes(content)
            law = laws.parse(f"table('x', sha256='{digest}')", source)
            self.assertFalse(law.known)
        for config in (
            '{',
            '[' * 10**5,
            '3',
            '{"a": ["table("]}',
            json.dumps({'a': 'table(' * 99}),
        ):
            (self.path / 'config.json').write_text(config)
            with self.assertRaises(laws.MissingTable):
                kept_tables.source_of_user(self.path)('gone.csv', '')

    def test_a_start_that_is_cut_before_the_values_are_kept_is_begun_again(self):
        with mock.patch.object(kept_tables, 'write', side_effect=OSError(28, 'No space left')):
            with self.assertRaises(OSError):
                self._begin()
        with Workdir(self.path) as workdir:
            workdir.check(self.study)
        self._begin()
        self.assertTrue(self._kept().is_file())

    def test_two_workdirs_of_one_table_have_one_law(self):
        self._begin()
        moved = self.folder / 'moved.csv'
        self.file.rename(moved)
        first = read_config(self.path / 'config.json')
        self.path, self.study = self.folder / 'v', self._study(f'table({str(moved)!r})')
        self._begin()
        second = read_config(self.path / 'config.json')
        for part in ('conditions', 'test_distributions'):
            self.assertEqual(list(first[part]), list(second[part]))
            for name, entry in first[part].items():
                shown = [loading.Distribution(name, e['label'], e['spec'])
                        for e in (entry, second[part][name])]  # fmt: skip
                self.assertEqual(*shown)
                self.assertNotIn(str(self.folder), entry['spec'])
                law = laws.parse(entry['spec'], kept_tables.source([self.path]))
                self.assertTrue(law.known)
                self.assertEqual(law.identity, entry['spec'])

    def test_points_of_a_density_are_kept_as_targets_are(self):
        self.file.write_text('age,share\n1,0\n2,3\n10,0\n')
        self.study = self._study(f'density_table({str(self.file)!r})')
        (self.digest,) = self.study.tables
        self._begin()
        self.assertEqual(hashlib.sha256(self._kept().read_bytes()).hexdigest(), self.digest)
        law = f'gap(density_table({str(self.file)!r}), 4, 5)'
        self.file.unlink()
        with self.assertLogs('imbreg_jax', 'WARNING'):
            study = self._study(law, kept_tables.source_of_user(self.path))
        np.testing.assert_array_equal(study.conditions[0].distribution.ppf([0, 1]), [1, 10])
        source = kept_tables.source([self.path])
        restored = study_lib.restore(read_config(self.path / 'config.json'), source)
        self.assertTrue(restored.conditions[0].distribution.known)
        # Whoever calls the same numbers targets has none that rise.
        self.assertFalse(laws.parse(f"table('x', sha256='{self.digest}')", source).known)
        for points in ([1.0, 0.0, 2.0], [1.0, 0.0, 2.0, 0.0], [2.0, 1.0, 1.0, 1.0], [1.0, 1.0]):
            content = np.array(points, '<f8').tobytes()
            digest = hashlib.sha256(content).hexdigest()
            (self._kept().parent / f'{digest[:16]}.f64').write_bytes(content)
            self.assertFalse(laws.parse(f"density_table('x', sha256='{digest}')", source).known)

    def test_of_two_tables_of_one_name_neither_is_meant(self):
        other = self.folder / 'b' / 'ages.csv'
        other.parent.mkdir()
        other.write_text('4\n5\n')
        config = study_lib.default_config()
        config.train_distribution = f'table({str(self.file)!r})'
        config.test_distributions = (f'table({str(other)!r})', 'u1_10')
        self.study = study_lib.resolve(config)
        self._begin()
        self.assertLen(list(self._kept().parent.iterdir()), 2)
        with self.assertRaises(laws.MissingTable):
            kept_tables.source_of_user(self.path)('gone/ages.csv', '')


if __name__ == '__main__':
    absltest.main()

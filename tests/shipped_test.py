"""Tests of imbreg_jax.study.shipped: configs by name, from any folder."""

import importlib
import os
import pathlib

from absl.testing import absltest

import imbreg_jax
from imbreg_jax import study
from imbreg_jax.study import command_line, shipped

_FOLDER = pathlib.Path(__file__).resolve().parent.parent / 'configs'


class ShippedTest(absltest.TestCase):
    def setUp(self):
        super().setUp()
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(self.create_tempdir().full_path)

    def test_has_every_config_by_name(self):
        found = {name: path.resolve() for name, path in shipped.files().items()}
        self.assertEqual(found, {path.stem: path for path in sorted(_FOLDER.glob('*.py'))})

    def test_a_name_is_a_shipped_file_and_a_path_is_left(self):
        for choice, path in (
            ('paper', f'{_FOLDER}/paper.py'),
            ('missing_targets:disc_radius', f'{_FOLDER}/missing_targets.py:disc_radius'),
            ('remedies:std/inverse', f'{_FOLDER}/remedies.py:std/inverse'),
            ('paper.py', 'paper.py'),
            ('./paper', './paper'),
            ('mine/paper.py:x', 'mine/paper.py:x'),
            (pathlib.Path('mine.py'), 'mine.py'),
        ):
            self.assertEqual(shipped.path_of(choice), path)

    def test_says_what_a_name_was_most_likely_meant_to_be(self):
        pathlib.Path('mine.py').touch()
        for choice, message in (
            ('papr', "the config = 'papr': no config of this name is shipped; did you mean paper."),
            ('missing_target:std', 'did you mean missing_targets:std.'),
            ('mine:x', 'did you mean mine.py:x.'),
            ('zzz', 'known are budgets, dropout, '),
            ('', 'known are '),
        ):
            with self.assertRaises(study.ConfigError) as caught:
                shipped.path_of(choice)
            self.assertIn(message, str(caught.exception))


class ConfigTest(absltest.TestCase):
    def test_is_what_the_command_line_makes_of_it(self):
        made = imbreg_jax.config('paper', {'training.epochs': 2, 'repeats': 3}, repeats=4)
        path = f'--config={_FOLDER}/paper.py'
        typed, _ = command_line.read_config(
            ['main', path, '--config.training.epochs=2', '--config.repeats=4']
        )
        self.assertEqual(study.resolve(made).resolved, study.resolve(typed).resolved)
        self.assertEqual(study.resolve(made).name, 'paper-repeats_4-epochs_2')
        self.assertTrue(made.is_locked)

    def test_hands_on_what_follows_the_name_and_takes_files_of_ones_own(self):
        made = imbreg_jax.config('sensitivity:u1_10', name='mine')
        self.assertLen(made.conditions, 6)
        self.assertEqual(made.name, 'mine')
        path = self.create_tempfile(
            'own.py',
            content='from imbreg_jax import study\nget_config = study.default_config\n',
        ).full_path
        self.assertEqual(imbreg_jax.config(path, **{'data.train_size': 50}).data.train_size, 50)

    def test_the_shipped_configs_are_modules_too(self):
        for name in shipped.files():
            module = importlib.import_module(f'imbreg_jax.configs.{name}')
            self.assertTrue((_FOLDER / f'{name}.py').samefile(str(module.__file__)))
        self.assertEqual(module.get_config(), imbreg_jax.config(name))


if __name__ == '__main__':
    absltest.main()

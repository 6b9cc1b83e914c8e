"""Tests of imbreg_jax.study.config_file: where configs lie; `command_line_test` has what fails."""

import os
import pathlib
from unittest import mock

from absl.testing import absltest

import imbreg_jax
from imbreg_jax.study import config_file

_ROOT = pathlib.Path(__file__).resolve().parent.parent


class ShippedFolderTest(absltest.TestCase):
    def setUp(self):
        super().setUp()
        self.addCleanup(os.chdir, os.getcwd())
        self.site = pathlib.Path(self.create_tempdir().full_path)
        # Of somebody else: any package may have left one beside ours.
        (self.site / 'configs').mkdir()
        (self.site / 'configs' / 'theirs.py').touch()
        self.ours = self.site / 'imbreg_jax' / 'configs'
        self.ours.mkdir(parents=True)
        (self.ours / '__init__.py').touch()
        (self.ours / 'paper.py').write_text('"""The paper.\n\nMore."""\n')
        self.installed = mock.patch.object(
            imbreg_jax, '__file__', str(self.site / 'imbreg_jax' / '__init__.py')
        )

    def test_in_a_checkout_it_is_the_one_beside_the_package(self):
        self.assertEqual(config_file.shipped_folder().resolve(), _ROOT / 'configs')

    def test_installed_it_is_in_the_package(self):
        with self.installed:
            self.assertEqual(config_file.shipped_folder(), self.ours)
            os.chdir(self.create_tempdir().full_path)
            self.assertEqual(config_file.at_hand(), [str(self.ours / 'paper.py')])
        self.assertEqual(config_file.first_line(self.ours / 'paper.py'), 'The paper.')

    def test_a_config_is_at_hand_once_and_those_of_the_current_folder_first(self):
        os.chdir(_ROOT)
        names = sorted(f'configs/{path.name}' for path in (_ROOT / 'configs').glob('*.py'))
        self.assertEqual(config_file.at_hand(), names)
        os.chdir(self.site)
        with self.installed:
            self.assertEqual(
                config_file.at_hand(), ['configs/theirs.py', 'imbreg_jax/configs/paper.py']
            )


if __name__ == '__main__':
    absltest.main()

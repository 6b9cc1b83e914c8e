"""Tests of imbreg_jax.results.provenance."""

import os
import pathlib
import subprocess
from unittest import mock

from absl.testing import absltest

from imbreg_jax.results import provenance


class CommitTest(absltest.TestCase):
    def setUp(self):
        super().setUp()
        self.root = pathlib.Path(self.create_tempdir().full_path)
        self.package = self.root / 'imbreg_jax'
        self.package.mkdir()
        (self.package / '__init__.py').write_text('')
        (self.root / 'pyproject.toml').write_text('[project]\nname = "imbreg-jax"\n')

    def _git(self, *arguments: str) -> str:
        identity = ['-c', 'user.name=a', '-c', 'user.email=a@b.c', '-c', 'commit.gpgsign=false']
        return subprocess.run(
            ['git', '-C', str(self.root), *identity, *arguments],
            check=True, capture_output=True, text=True,
        ).stdout.strip()  # fmt: skip

    def _commit(self, *names: str) -> str:
        self._git('init', '--quiet')
        self._git('add', '--', *names)
        self._git('commit', '--quiet', '--no-verify', '-m', 'x')
        return self._git('rev-parse', 'HEAD')

    def test_names_the_commit_and_says_where_the_package_was_changed(self):
        commit = self._commit('.')
        self.assertEqual(provenance.commit_of(self.package), commit)
        (self.root / 'README.md').write_text('no part of the package')
        (self.package / 'untracked.py').write_text('')
        self.assertEqual(provenance.commit_of(self.package), commit)
        (self.package / '__init__.py').write_text('x = 1\n')
        self.assertEqual(provenance.commit_of(self.package), f'{commit}-dirty')

    def test_a_repository_that_is_not_the_packages_own_is_not_named(self):
        # Installed inside somebody's project, tracked or not.
        self.assertIsNone(provenance.commit_of(self.package))
        self._commit('pyproject.toml')
        self.assertIsNone(provenance.commit_of(self.package))
        self._commit('.')
        self.assertIsNotNone(provenance.commit_of(self.package))
        inside = self.root / 'lib' / 'imbreg_jax'
        inside.mkdir(parents=True)
        (inside / '__init__.py').write_text('')
        self._git('add', '.')
        self.assertIsNone(provenance.commit_of(inside))
        (self.root / 'pyproject.toml').write_text('[project]\nname = "other"\n')
        self.assertIsNone(provenance.commit_of(self.package))

    def test_runs_nothing_that_the_repository_asks_for(self):
        self._commit('.')
        ran = self.root / 'ran'
        self._git('config', 'core.fsmonitor', f'touch {ran}; false')
        self.assertIsNotNone(provenance.commit_of(self.package))
        self.assertFalse(ran.exists())

    def test_git_that_is_not_there_or_of_another_place_does_not_matter(self):
        commit = self._commit('.')
        with mock.patch.dict(os.environ, {'GIT_DIR': '/nowhere'}):
            self.assertEqual(provenance.commit_of(self.package), commit)
        with mock.patch.dict(os.environ, {'PATH': '/nowhere'}):
            self.assertIsNone(provenance.commit_of(self.package))


if __name__ == '__main__':
    absltest.main()

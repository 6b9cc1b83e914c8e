"""A small study that is trained once a process, for what a cut or resumed one must end with."""

import functools
import pathlib
from typing import Any
from unittest import mock

import pandas as pd
from absl.testing import absltest

import small_study
from imbreg_jax.results import files
from imbreg_jax.runner.study_run import StudyRun

RESULTS = ('results.csv', 'predictions.npz', 'weights.npz', 'metrics.jsonl')


class Abandoned(BaseException):
    """Ends a study as a kill would, but for its process."""


def config(**fields: Any) -> dict[str, Any]:
    """Its config: two conditions, two repeats, two epochs of two chunks, each of them kept."""
    settings = {
        'compute__checkpoint_seconds': 0.0,
        'compute__compilation_cache': True,
        'compute__compilation_cache_dir': small_study.COMPILED,
    }
    conditions = {name: {'train_distribution': name} for name in ('u1_10', 'u1_5')}
    return small_study.config(conditions, **(settings | fields))


def run(workdir: pathlib.Path | None, stop: Any = None, **fields: Any) -> StudyRun:
    """Its run in a workdir, not begun; runs of one process share what they compile."""
    return Run(small_study.study_lib.resolve(config(**fields)), workdir, stop)


_programs: dict[str, Any] = {}


class Run(StudyRun):
    """A run that shares what it compiles with the others of the process."""

    def _programs_of(self, parts, plan, devices):
        key = repr((self.study.resolved, parts, plan, devices))
        if key not in _programs:
            _programs[key] = super()._programs_of(parts, plan, devices)
        return _programs[key]


@functools.cache
def reference() -> pathlib.Path:
    """The workdir of one that nothing disturbed."""
    workdir = pathlib.Path(absltest.TEST_TMPDIR.value) / 'kept_study'
    run(workdir).finish()
    return workdir


class TestCase(absltest.TestCase):
    """Has a workdir, in which a study can be abandoned and must end as the reference."""

    def setUp(self):
        super().setUp()
        self.reference = reference()
        self.workdir = pathlib.Path(self.create_tempdir().full_path) / 'w'

    def abandon(self, owner: Any, name: str, when: Any = lambda *_: True, **fields: Any) -> None:
        """Runs a study that ends without a word where a method is called."""
        inner = getattr(owner, name)

        def method(*args):
            if when(*args):
                raise Abandoned
            return inner(*args)

        with mock.patch.object(owner, name, method), self.assertRaises(Abandoned):
            run(self.workdir, **fields).finish()

    def assert_same_results(self) -> None:
        for name in RESULTS:
            found = (self.workdir / name).read_bytes()
            self.assertEqual(found, (self.reference / name).read_bytes(), name)

    def begin_as_reference(self) -> None:
        """Makes a workdir with the reference's config and plan, of a study that is not finished."""
        self.workdir.mkdir()
        (self.workdir / 'plan.json').write_bytes((self.reference / 'plan.json').read_bytes())
        held = files.read_json(self.reference / 'config.json')
        del held['finished'], held['digest']
        files.write_json(self.workdir / 'config.json', held)


def table(workdir: pathlib.Path) -> pd.DataFrame:
    """Its results.csv."""
    return files.read_results_csv((workdir / 'results.csv').read_bytes())

"""Tests of imbreg_jax.runner.planning: which plan a study goes on under."""

import dataclasses
import pathlib
import types
from typing import Any, NamedTuple
from unittest import mock

from absl.testing import absltest

import small_study
from imbreg_jax.compute import backend
from imbreg_jax.compute import plan as plan_lib
from imbreg_jax.results.workdir import Workdir, WorkdirError
from imbreg_jax.runner import planning
from imbreg_jax.runner.study_run import StudyRun

_HELD, _NEW = 'the plan that is held', 'a new plan'
_CHECKPOINT = 'step_000000000001'


class _Case(NamedTuple):
    """What is other than when the plan was made, and what comes of it.

    Attributes:
      expected: `_HELD`, `_NEW`, fields that differ from the plan that is held, or what a refusal
        says.
      fields: of the config, at this start.
      plan: of the plan that is held.
      devices, platform: that are here; the plan was made for two of the CPU.
      text: of plan.json; None where it is as it was written, '' where it is missing.
      warning: what is said, if anything.
    """

    expected: Any
    fields: dict[str, Any] = {}
    plan: dict[str, Any] = {}
    devices: int = 2
    platform: str = 'cpu'
    text: str | None = None
    warning: str = ''


# As long as nothing is trained, a plan binds nobody.
_NOT_BEGUN = {
    'nothing': _Case(_HELD),
    'another name': _Case(_HELD, {'name': 'else'}),
    'another platform': _Case(_NEW, platform='gpu'),
    'fewer devices': _Case(_NEW, devices=1),
    'more devices': _Case(_HELD, devices=3),
    'other cores': _Case(_NEW, plan={'cores': 77}),
    'runs of a program': _Case(_NEW, {'compute__runs_per_program': 2}),
    'steps of a chunk': _Case(_NEW, {'compute__steps_per_chunk': 1}),
    'the cache': _Case(_NEW, {'data__cache': 'never'}),
    'no plan': _Case(_NEW, text=''),
    'half a plan': _Case(_NEW, text='{"platform":'),
    'a list': _Case(_NEW, text='[]'),
    'a plan of another version': _Case('is no plan that this version knows', text='{"a": 1}'),
    'a plan of another study': _Case('chunk_steps is', plan={'chunk_steps': (1, 1)}),
}
# Afterwards its digits hang on it, so it is followed wherever it can be.
_BEGUN = {
    'nothing': _Case(_HELD),
    'another name': _Case(_HELD, {'name': 'else'}),
    'another platform': _Case(
        _NEW, platform='gpu', warning='begun on 2 cpu device(s), and here are 2 of gpu'
    ),
    'fewer devices': _Case(
        _NEW, devices=1, warning='begun on 2 cpu device(s), and here are 1 of cpu'
    ),
    'more devices': _Case(_HELD, devices=3),
    'other cores': _Case(
        _NEW, plan={'cores': 77}, warning='begun on 77 core(s), and JAX was in use in this process'
    ),
    'cores of before they were kept': _Case(_HELD, plan={'cores': 0}),
    'other cores beside an accelerator': _Case(
        _HELD, plan={'cores': 77, 'platform': 'gpu', 'mapping': 'vmap'}, platform='cuda'
    ),
    'runs of a program': _Case(_NEW, {'compute__runs_per_program': 2}),
    'steps of a chunk': _Case(_HELD, {'compute__steps_per_chunk': 1}),
    'no cache': _Case({'cached': False}, {'data__cache': 'never'}),
    'no cache of images': _Case(
        {'cached': False, 'rendered': False}, {'data__cache': 'never'}, {'rendered': True}
    ),
    'images as before': _Case(_HELD, plan={'rendered': True}),
    'a cache': _Case(_HELD, {'data__cache': 'always'}, {'cached': False}),
    'no plan': _Case('plan.json is missing', text=''),
    'half a plan': _Case('plan.json is unreadable', text='{"platform":'),
    'a list': _Case('plan.json is no plan', text='[]'),
    'a plan that was edited': _Case(
        'plan.json is not as it was written', text='{"platform": "cpu", "digest": "0"}'
    ),
    'a plan of another version': _Case('is no plan that this version knows', text='{"a": 1}'),
    'a plan of another study': _Case('chunk_steps is', plan={'chunk_steps': (1, 1)}),
}


def _devices(count: int, platform: str) -> list[Any]:
    device = types.SimpleNamespace(platform=platform, memory_stats=lambda: None)
    return [device] * count


def _study(**fields: Any) -> Any:
    return small_study.study({'a': {}, 'b': {'train_distribution': 'u1_5'}}, **fields)


class PlanningTest(absltest.TestCase):
    def _workdir(self, plan: plan_lib.Plan, begun: bool) -> Workdir:
        path = pathlib.Path(self.create_tempdir().full_path) / 'w'
        with Workdir(path) as workdir:
            workdir.write_config(_study(), ['cpu 0'], 'cpu', {})
            workdir.write_plan(plan.to_json())
        if begun:
            (workdir.checkpoints / _CHECKPOINT).mkdir(parents=True)
        return workdir

    def _check(self, case: _Case, begun: bool) -> None:
        made = plan_lib.make(_study(), _devices(2, 'cpu'))
        # A number that no plan would be made with tells it from a new one.
        held = dataclasses.replace(made, bytes_predicted=7, **case.plan)
        workdir = self._workdir(held, begun)
        if case.text == '':
            workdir.plan.unlink()
        elif case.text is not None:
            workdir.plan.write_text(case.text)
        study = workdir.check(_study(**case.fields))
        devices = _devices(case.devices, case.platform)
        new = plan_lib.make(study, devices)
        wanted: dict[str, plan_lib.Plan] = {_HELD: held, _NEW: new}
        self.assertNotEqual(held, new)
        with mock.patch.object(planning.logger, 'warning') as warned:
            if isinstance(case.expected, str) and case.expected not in wanted:
                with self.assertRaisesRegex(WorkdirError, case.expected) as caught:
                    planning.plan_for(study, workdir, devices)
                self.assertNotIn('\n', str(caught.exception))
            elif isinstance(case.expected, str):
                found = planning.plan_for(study, workdir, devices)
                self.assertEqual(found, wanted[case.expected])
            else:
                found = planning.plan_for(study, workdir, devices)
                self.assertEqual(found, dataclasses.replace(held, **case.expected))
        said = ' '.join(call.args[0] % call.args[1:] for call in warned.call_args_list)
        self.assertEqual(bool(said), bool(case.warning))
        self.assertIn(case.warning, said)

    def test_what_changed_before_anything_is_trained(self):
        for name, case in _NOT_BEGUN.items():
            with self.subTest(name):
                self._check(case, begun=False)

    def test_what_changed_since_something_was_trained(self):
        for name, case in _BEGUN.items():
            with self.subTest(name):
                self._check(case, begun=True)

    def test_without_a_workdir_a_plan_is_made(self):
        devices = _devices(1, 'cpu')
        made = plan_lib.make(_study(), devices)
        self.assertEqual(planning.plan_for(_study(), None, devices), made)
        self.assertEqual(planning.cores_begun_on(None), 0)

    def test_cores_count_once_something_is_trained(self):
        plan = plan_lib.make(_study(), _devices(2, 'cpu'))
        self.assertEqual(planning.cores_begun_on(self._workdir(plan, begun=False)), 0)
        self.assertEqual(planning.cores_begun_on(self._workdir(plan, begun=True)), plan.cores)
        for cores in (0, -1, 10**9, 'x', None, 2.0):
            workdir = self._workdir(plan, begun=True)
            workdir.write_plan(plan.to_json() | {'cores': cores})
            self.assertEqual(planning.cores_begun_on(workdir), 0, cores)

    def test_a_study_asks_for_the_cores_it_was_begun_on(self):
        plan = plan_lib.make(_study(), _devices(2, 'cpu'))
        workdir = self._workdir(dataclasses.replace(plan, cores=77), begun=True)
        with mock.patch.object(backend, 'prepare', side_effect=KeyboardInterrupt) as asked:
            with self.assertRaises(KeyboardInterrupt):
                StudyRun(_study(), workdir.path).finish()
        self.assertEqual(asked.call_args.args[1], 77)


if __name__ == '__main__':
    absltest.main()

"""Tests of imbreg_jax.runner.planning: which plan a study goes on under."""

import json
from unittest import mock

from absl.testing import absltest

import kept_study
from imbreg_jax.compute import backend
from imbreg_jax.results.workdir import Workdir, WorkdirError
from quick_compilation import setUpModule, tearDownModule  # noqa: F401 - for its runner


class PlanningTest(kept_study.TestCase):
    def test_a_study_is_resumed_on_the_cores_it_was_begun_on(self):
        self.begin_as_reference()
        (self.workdir / 'checkpoints' / 'step_000000000001').mkdir(parents=True)
        plan = json.loads((self.reference / 'plan.json').read_text())
        self.assertEqual(plan['cores'], backend.threads())
        del plan['digest']
        Workdir(self.workdir).write_plan(plan | {'cores': 77})
        # As many are asked for; a process whose JAX was in use before cannot give them.
        prepare = backend.prepare
        with mock.patch.object(backend, 'prepare', side_effect=prepare) as asked:
            with self.assertRaisesRegex(WorkdirError, r'was begun on 77 core\(s\), and JAX was in'):
                kept_study.run(self.workdir).finish()
        self.assertEqual(asked.call_args.args[1], 77)

    def test_a_damaged_plan_is_refused_once_something_is_trained(self):
        self.begin_as_reference()
        (self.workdir / 'checkpoints' / 'step_000000000001').mkdir(parents=True)
        for text, message in (
            ('{', 'is unreadable'),
            ('{"a": 1}', 'is no plan that this version knows'),
            ('[]', 'is no plan'),
        ):
            (self.workdir / 'plan.json').write_text(text)
            with self.assertRaisesRegex(WorkdirError, message):
                kept_study.run(self.workdir).finish()


if __name__ == '__main__':
    absltest.main()

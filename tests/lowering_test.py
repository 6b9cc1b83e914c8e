"""Every program of every remedy and task lowers for GPUs and TPUs, on a machine that has neither.

Nothing is compiled: what XLA makes of a program for an accelerator, only an accelerator can tell.
"""

import dataclasses
import functools
from unittest import mock

import jax
import numpy as np
import pytest
from absl.testing import absltest, parameterized

import small_study
from imbreg_jax import remedies
from imbreg_jax.compute import plan as plan_lib
from imbreg_jax.compute import run_axis, units
from imbreg_jax.data.task import TASKS
from imbreg_jax.evaluation import evaluator
from imbreg_jax.training.engine import Engine
from imbreg_jax.training.programs import Programs

_PLATFORMS = ('cuda', 'tpu')
_TRAINING = {'_measure', '_initialize', '_shuffle', '_chunk'}
_EVALUATION = {'_validate_run', '_finish_run', '_pixels_run'}


def _lowered(study, **planned) -> set[str]:
    """The names of the programs that a study's first unit needs, each lowered for accelerators."""
    seen = set()
    compile_ = run_axis.Layout.compile

    def compile_nothing(layout, function, at_once=0, every=False):
        jitted = compile_(layout, function, at_once, every)

        @functools.wraps(function)
        def lower(*args):
            exported = jax.export.export(jitted, platforms=_PLATFORMS)(*args)
            assert exported.platforms == _PLATFORMS and exported.mlir_module_serialized
            seen.add(function.__name__)
            out = jax.tree.map(
                lambda a: jax.ShapeDtypeStruct(a.shape, a.dtype, sharding=layout.sharding),
                jax.eval_shape(jitted, *args),
            )
            if function.__name__ != '_measure':
                return out
            # Remedies look at targets, and some of them for rare ones.
            draw = np.random.default_rng(0).exponential
            return jax.tree.map(lambda a: 1 + draw(2, a.shape).astype(a.dtype), out)

        return lower

    with mock.patch.object(run_axis.Layout, 'compile', compile_nothing), small_study.precision():
        devices = jax.devices()[:2]
        plan = plan_lib.make(study, devices, 2**34)
        plan = dataclasses.replace(plan, mapping='vmap', **planned)
        programs = Programs(study, 0, plan, devices[: plan.devices], ())
        engine = Engine(programs, units.cut(study, plan.runs_per_unit)[0])
        state = engine.initialize()
        state, _ = engine.train_chunk(state, 0, 0)
        state = engine.end_epoch(state, 0)
        evaluation = evaluator.Programs(programs)
        evaluation.validate((), (state.params, engine.run_data), engine.resident, engine.shared)
        trained = (state.params, engine.run_data, engine.targets['train'])
        evaluation.finish((), trained, engine.resident, engine.shared)
        evaluation.pixels((), engine.run_data, {}, engine.shared)
    return seen


class LoweringTest(parameterized.TestCase):
    def _lower_remedy(self, name):
        remedy = remedies.parse(name)
        condition = {'remedy': name, 'train_distribution': 'exponential(1, 2)'}
        study = small_study.study({'a': condition}, data__train_size=600)
        expected = _TRAINING | _EVALUATION
        if remedy.folds:
            expected |= {'_fold'}
        self.assertContainsSubset(expected, _lowered(study, cached=False))

    def _lower_task(self, name):
        study = small_study.study(task__name=name, data__image_size=28, evaluation__dense_high=10.0)
        for rendered in (False, True):
            self.assertContainsSubset(
                _TRAINING | _EVALUATION | {'_resident'},
                _lowered(study, cached=True, rendered=rendered),
            )

    def test_the_remedy_of_most_code_and_a_drawn_task(self):
        self._lower_remedy('vir')
        self._lower_task('disc_radius')

    # parameterized wants its decorator outermost.
    @parameterized.parameters(sorted(remedies.REMEDIES))
    @pytest.mark.slow
    def test_every_remedy(self, name):
        self._lower_remedy(name)

    @parameterized.parameters(sorted(TASKS))
    @pytest.mark.slow
    def test_every_task(self, name):
        self._lower_task(name)


if __name__ == '__main__':
    absltest.main()

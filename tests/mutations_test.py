"""Mutates every field of a small study's config and runs what is accepted to its end.

    python tests/mutations_test.py --mutations=all     every field, some minutes
    python tests/mutations_test.py                     the sample that the test command runs

Each mutation must be refused in one sentence or run to its end and say something sound: never a
traceback, never a hang, never a silent success on nonsense. `fields_test.py` holds the validator
against many more mutations; here the accepted ones are trained.
"""

import copy
import math
import pathlib
import random
import signal
import tempfile
import time
from typing import Any

import numpy as np
from absl import flags
from absl.testing import absltest

import small_study
from imbreg_jax import studies, study
from imbreg_jax.compute.plan import OutOfMemory
from imbreg_jax.evaluation.metrics.metric import EVERY_EPOCH
from imbreg_jax.runner.study_run import StudyRun
from imbreg_jax.study import FIELDS, ConfigError
from quick_compilation import setUpModule, tearDownModule  # noqa: F401 - for its runner

_MUTATIONS = flags.DEFINE_enum('mutations', 'some', ['some', 'all'], 'How many mutations.')
_SECONDS = 300  # No mutation of this study may take longer; a hang would.

_MISSING = object()
# What every field meets, whatever its type.
_ALWAYS = (None, '', [], {}, math.nan, math.inf, -1, 10**30, True, 'nonsense', _MISSING)
# Values that each field may well take, many of them at the edge of its range.
_EDGES: dict[str, tuple[Any, ...]] = {
    'name': ('x.y-z_0',),
    'seed': (2**31 - 1,),
    'repeats': (1, 3),
    'first_repeat': (2**31 - 3,),
    'train_distribution': ('table("x.csv")', 'mixture(uniform(1, 2), 0.5, normal(8, 0.1), 0.5)'),
    'test_distributions': (('u1_5',), ('uniform(900000, 1000000)',)),
    'remedy': ('inverse(bins=3)', 'gaussian_noise + inverse', 'fds(bins=5) + balanced_mse'),
    'sweep': (
        'task.ddof = 0, 1',
        'data.image_size = 18, 20; model.conv_dropout_rate = 0, 0.5',
        '(training.epochs, training.learning_rate) = (1, 1e-3), (2, 5e-4)',
    ),
    'task.name': ('disc_radius', 'grating_period', 'correlation_length', 'interquartile_range'),
    'data.pixel_law': ('student_t', 'laplace', 'uniform'),
    'task.ddof': (1,),
    'task.target': ('generating',),
    'data.image_size': (16, 21, 27),
    'data.train_size': (6, 7, 25),
    'data.validation_size': (1, 2),
    'data.test_size': (1, 2),
    'data.cache': ('always', 'never'),
    'data.folds': (2, 3, 1000),
    'model.conv_features': ((1, 1), (5,), (2, 1, 3)),
    'model.kernel_size': (1, 2, 3, 6),
    'model.dense_features': (1,),
    'model.order': ('relu_pool',),
    'model.pool': ('max', 'none'),
    'model.activation': ('leaky_relu', 'tanh'),
    'model.normalization': ('input', 'layer', 'instance', 'batch'),
    'model.bias': (False,),
    'model.conv_dropout_rate': (0.0, 0.999999),
    'model.dense_dropout_rate': (0.0, 0.999999),
    'model.conv_dropout': ('element',),
    'model.initialization': ('flax',),
    'training.objective': ('relative_mse',),
    'training.optimizer': ('sgd',),
    'training.learning_rate': (1e-300, 10.0),
    'training.schedule': ('linear', 'cosine', 'step'),
    'training.warmup': (0.5, 1 - 1e-9),
    'training.weight_decay': (1.0,),
    'training.gradient_clip': (1e-30, 1e6),
    'training.batch_size': (1, 24),
    'training.epochs': (1, 3),
    'training.adam_b1': (0.0, 1 - 1e-9),
    'training.adam_b2': (0.0, 1 - 1e-9),
    'training.adam_eps': (1e-300, 1.0),
    'training.momentum': (0.0, 1 - 1e-9),
    'evaluation.batch_size': (1, 10**6),
    'evaluation.dense_size': (2, 1000),
    'evaluation.dense_low': (1e-30,),
    'evaluation.dense_high': (0.5, 1e6),
    'evaluation.guess_low': (0.0, 9.9999999),
    'evaluation.guess_high': (1.0001, 1e6),
    'evaluation.moment_images': (1, 10**8),
    'evaluation.moment_masks': (2, 3),
    'evaluation.validation_under_test': (True,),
    'analysis.equivalence_margin': (1e-9, 10.0),
    'analysis.confidence': (0.5000001, 0.9999),
    'analysis.seed': (2**31 - 1,),
    'analysis.reference': ('',),
    'compute.matmul_precision': ('default', 'high'),
    'compute.require_accelerator': (True,),
    'compute.runs_per_program': (1, 10**6),
    'compute.steps_per_chunk': (1, 10**6),
    'compute.checkpoint_seconds': (0.0, 10**7),
    'compute.checkpoints_kept': (1, 1000),
    'compute.compilation_cache': (False,),
    'compute.compilation_cache_dir': ('/dev/null', '\0'),
    'compute.profile': (True,),
    'compute.tensorboard': (True, False),
    'compute.stop_signals': ((), ('SIGUSR1',)),
    # What a project may be called, `tracking_test.py` tries.
    'log.wandb': ('',),
    'log.mlflow': ('',),
}
_SAMPLE = (
    ('training.learning_rate', 10.0),
    ('evaluation.dense_low', 1e-30),
)


class MutationsTest(absltest.TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        # A new one: an earlier run's workdirs would be resumed, or refused.
        folder = tempfile.TemporaryDirectory(prefix='mutations_')
        cls.addClassCleanup(folder.cleanup)
        cls.folder = pathlib.Path(folder.name)
        cls.base = study.resolve(
            small_study.config(
                training__epochs=1,
                compute__compilation_cache=True,
                compute__compilation_cache_dir=small_study.COMPILED,
            )
        ).resolved

    def _mutations(self) -> list[tuple[str, Any]]:
        if _MUTATIONS.value == 'some':
            chance = random.Random(0)
            return [*_SAMPLE, *((field, chance.choice(_ALWAYS)) for field in FIELDS)]
        return [(f, v) for f in FIELDS for v in (*_ALWAYS, *_EDGES.get(f, ()))]

    def test_every_field_has_mutations_that_may_be_accepted(self):
        self.assertContainsSubset(set(_EDGES), set(FIELDS))
        fixed = {name for name, field in FIELDS.items() if len(field.choices) == 1}
        self.assertEqual(set(FIELDS) - set(_EDGES) - fixed, set())

    def test_each_is_refused_or_runs_to_its_end(self):
        refused = ran = 0
        for number, (field, value) in enumerate(self._mutations()):
            text = 'missing' if value is _MISSING else repr(value)[:60]
            with self.subTest(f'{field} = {text}'):
                config = copy.deepcopy(self.base)
                *section, leaf = field.split('.')
                holder = config[section[0]] if section else config
                if value is _MISSING:
                    del holder[leaf]
                else:
                    holder[leaf] = value
                try:
                    resolved = study.resolve(config)
                    self._run(resolved, self.folder / f'{number}')
                    ran += 1
                except (ConfigError, OutOfMemory) as error:
                    self.assertNotIn('\n', str(error))
                    refused += 1
        print(f'{refused} mutations refused, {ran} ran to their end')
        self.assertGreater(refused, 0)
        self.assertGreater(ran, 0)

    def _run(self, resolved: study.Study, workdir: pathlib.Path) -> None:
        def hang(*_):
            raise TimeoutError(f'not at its end after {_SECONDS} s')

        before = signal.signal(signal.SIGALRM, hang)
        signal.alarm(_SECONDS)
        began = time.monotonic()
        try:
            whole = _MUTATIONS.value == 'all'
            begun = studies.reported(resolved, workdir) if whole else StudyRun(resolved, workdir)
            results = begun.finish()
        finally:
            signal.alarm(0)
            signal.signal(signal.SIGALRM, before)
        self.assertLess(time.monotonic() - began, _SECONDS)
        networks = results[results.predictor == 'cnn']
        self.assertEqual(
            len(networks[networks.metric == 'mse']),
            len(resolved.runs) * len(resolved.test_distributions),
        )
        diverged = set(networks[networks.metric == 'diverged_epoch'].repeat)
        sound = networks[~networks.repeat.isin(diverged)]
        # What is not said to have diverged is a number; those of strata may have nothing to be of.
        always = sound[sound.metric.isin(EVERY_EPOCH)]
        self.assertTrue(np.isfinite(always.value).all(), always)


if __name__ == '__main__':
    absltest.main()

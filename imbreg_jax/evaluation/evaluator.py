"""What a unit's networks predict, dropout off: validation, test and dense sets; and moments.

The moments say why predictions are what they are: first and second moments of
the output's parts over training images, without dropout and with channel
dropout alone, from which the shrinkage that dropout causes can be predicted.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from imbreg_jax.compute import out_of_memory
from imbreg_jax.compute.memory import EVALUATED_AT_ONCE, evaluated_at_once
from imbreg_jax.compute.run_axis import RunAxis
from imbreg_jax.data import images
from imbreg_jax.data.randomness import Purpose, member_key
from imbreg_jax.data.source import Place
from imbreg_jax.evaluation.references import linear, pixel_moments
from imbreg_jax.study import relevance
from imbreg_jax.training import programs as training_lib
from imbreg_jax.training.engine import Engine
from imbreg_jax.training.programs import RunData, place
from imbreg_jax.training.step import TrainState

MOMENTS = (
    'images',
    'b',
    'mean_y',
    'mean_y2',
    'mean_a',
    'mean_a2',
    'mean_ay',
    'mean_s',
    'channel_mean_a',
    'channel_mean_a2',
    'channel_mean_ay',
    'channel_mean_s',
    'channel_mean_abar2',
)

# Images that a core evaluates at a time on CPU, if so many may be: their maps stay in its cache.
_IN_CACHE = 50


class Programs:
    """The compiled programs that evaluate, for all units of one program.

    Attributes:
      training: the programs that train.
      at_once: with `vmap`, at most so many runs are evaluated at a time.
      validate, finish: functions of one run over all runs of a unit.
      pixels: the same over runs of which each has another repeat.
    """

    def __init__(self, training: training_lib.Programs):
        """Compiles nothing yet; programs compile at their first call."""
        self.training = training
        self.study = training.study
        self.learner = training.learner
        self.compile(max(1, EVALUATED_AT_ONCE // evaluated_at_once(self.study)))

    def compile(self, at_once: int) -> None:
        """Makes the programs anew, for so many runs at a time."""
        self.at_once = at_once
        self.validate = self.training.compile(self._validate_run, at_once)
        self.finish = self.training.compile(self._finish_run, at_once)
        self.pixels = self.training.compile(self._pixels_run, at_once)

    def _predict(self, params, pictures):
        """Predictions [b] of images [b, H, W, channels]."""
        outputs: Any = self.learner.network.apply({'params': params}, pictures)
        return self.learner.remedy.predict(outputs)

    def _predict_each(self, params, pictures):
        """Predictions [b, T] of images [T, b, H, W, channels], which one pass takes all of."""
        laws, count, *shape = pictures.shape
        return self._predict(params, pictures.reshape(-1, *shape)).reshape(laws, count).T

    def _walk(self, split, visit, laws=1):
        return images.walk(self.learner.source.count(split), visit, self._batch(laws))

    def _batch(self, laws=1):
        """How many images are evaluated at a time, each under so many laws."""
        batch = self.study.evaluation.batch_size
        return min(batch, -(-_IN_CACHE // laws)) if self.training.plan.mapping == 'map' else batch

    def _validate_run(self, _, run, device, shared):
        params, data = run
        at = place(data, device, shared)
        source = self.learner.source
        return self._walk(
            'validation', lambda i: self._predict(params, source.images(at, 'validation', i))
        )

    def _finish_run(self, _, run, device, shared):
        params, data, train_targets = run
        at = place(data, device, shared)

        def all_tests(index):
            pictures, targets = self.learner.source.examples(at, 'test', index)
            return self._predict_each(params, pictures), targets.T

        def dense(index):
            pictures, targets = self.learner.source.examples(at, 'dense', index)
            return self._predict(params, pictures), targets

        def selection(index):
            pictures, targets = self.learner.source.examples(at, 'selection', index)
            return self._predict_each(params, pictures), targets.T

        laws = len(self.study.test_distributions)
        test_prediction, test_target = self._walk('test', all_tests, laws)
        dense_prediction, dense_target = self._walk('dense', dense)
        parts, train_pixels = self._parts(params, data, train_targets, at)
        selected = {}
        if self.study.evaluation.validation_under_test:
            prediction, target = self._walk('selection', selection, laws)
            selected = {'selection_prediction': prediction.T, 'selection_target': target.T}
        return selected | {
            'test_prediction': test_prediction.T,
            'test_target': test_target.T,
            'dense_prediction': dense_prediction,
            'dense_target': dense_target,
            'train_pixels': train_pixels,
            'parts': parts,
            'bias': params['dense2'].get('bias', jnp.zeros(1))[0],
        }

    def _pixels_run(self, _: Any, data: RunData, device: Any, shared: Any) -> jax.Array:
        """[T, n, k] moments of the pixels of test images, which hang on a run's repeat alone."""
        at = place(data, device, shared)

        def visit(index):
            pictures = self.learner.source.images(at, 'test', index)
            return pixel_moments(pictures).swapaxes(0, 1)

        return self._walk('test', visit, len(self.study.test_distributions)).swapaxes(0, 1)

    def _parts(
        self, params: Any, data: RunData, targets: jax.Array, at: Place
    ) -> tuple[jax.Array, jax.Array]:
        """Per training image: target, output without its bias, sum of squared contributions.

        They are of the first output, whether it is what the remedy predicts or not. Masks act after
        the convolutions, which are computed once. Beside them the image's pixel moments.
        """
        settings, made = self.study.evaluation, self.learner.network
        count = min(settings.moment_images, self.learner.source.count('train'))
        weights = params['dense2']['kernel'][:, 0]
        root = member_key(at.root, data.repeat, data.member, Purpose.MOMENT_MASKS)
        rate = data.dials['model.conv_dropout_rate']
        variables = {'params': params}

        def contributions(features):
            terms = features * weights
            return terms.sum(-1), (terms * terms).sum(-1)

        def visit(index):
            pictures = self.learner.source.images(at, 'train', index)
            maps = made.apply(variables, pictures, True, method='convolve')

            def masked(mask):
                # A key for each image, so that how many are looked at together changes nothing.
                key = jax.random.fold_in(root, mask)
                keys = jax.vmap(jax.random.fold_in, (None, 0))(key, index)
                return contributions(made.apply(variables, maps, rate, keys, method='features'))

            if made.maps_serve_both:
                a, s = contributions(made.apply(variables, maps, method='features'))
            else:
                a, s = contributions(made.apply(variables, pictures, method='encode'))
            mask_a, mask_s = lax.map(masked, jnp.arange(settings.moment_masks))
            parts = [a, s, mask_a.mean(0), (mask_a * mask_a).mean(0), mask_s.mean(0)]
            return jnp.stack(parts, axis=-1), pixel_moments(pictures)

        values, pixels = images.walk(count, visit, self._batch())
        return jnp.concatenate([targets[:count, None], values], axis=-1), pixels


class Evaluator:
    """Evaluates one unit's networks."""

    def __init__(self, engine: Engine, programs: Programs | None = None):
        """Args: the unit's engine, and an earlier unit's programs, or None to make them."""
        self.engine = engine
        self.study = engine.study
        self.programs = programs or Programs(engine.programs)

    def validation(self, state: TrainState) -> np.ndarray:
        """[runs, n] predictions on the validation split."""
        engine = self.engine
        run = (state.params, engine.run_data)
        return engine.axis.fetch(self.programs.validate((), run, engine.resident, engine.shared))

    def validation_targets(self) -> np.ndarray:
        """[runs, n] targets of the validation split."""
        return self.engine.axis.fetch(self.engine.targets['validation'])

    def finish(
        self, state: TrainState, validation: np.ndarray | None = None
    ) -> dict[str, np.ndarray]:
        """Everything that is kept of trained networks.

        Args:
          state: of the trained networks.
          validation: what `validation` gave of it, where that is at hand.

        Returns:
          Arrays [runs, ...] on the host: `test_generating`, `test_target`, `test_prediction`
          [runs, T, n], `dense_target`, `dense_prediction` [runs, M], `validation_target`,
          `validation_prediction`, `moments` [runs, len(MOMENTS)] float64; where the study asks for
          them, `selection_target` and `selection_prediction` [runs, T, v]; and of the training set
          `best_constant` [runs], `linear_moments` [runs, T, n] and
          `relevance_points` [runs, 3] float64, see `references` and `study.relevance`.
        """
        engine = self.engine
        trained = (state.params, engine.run_data, engine.targets['train'])
        out = engine.axis.fetch(
            self._within_memory(
                lambda: self.programs.finish((), trained, engine.resident, engine.shared)
            )
        )
        parts, train = out.pop('parts'), out.pop('train_pixels')
        test = self._test_pixels()
        targets = np.asarray(engine.axis.fetch(engine.targets['train']), np.float64)
        references = {
            'best_constant': targets.mean(-1),
            'linear_moments': np.stack(
                [
                    linear(x, y[: len(x)], test[run.repeat])
                    for x, y, run in zip(train, targets, engine.unit.runs, strict=True)
                ]
            ),
            'relevance_points': relevance.whiskers(targets),
        }
        return (
            out
            | references
            | {
                'test_generating': engine.axis.fetch(engine.run_data.rows['test']),
                'validation_target': self.validation_targets(),
                'validation_prediction': self.validation(state)
                if validation is None
                else validation,
                'moments': moments(parts, out.pop('bias'), self.study.evaluation.moment_masks),
            }
        )

    def _test_pixels(self) -> dict[int, np.ndarray]:
        """Repeat -> [T, n, k] moments of the pixels of its test images."""
        engine = self.engine
        runs = engine.unit.runs
        first = {run.repeat: i for i, run in reversed(list(enumerate(runs)))}
        places = list(first.values())
        axis = RunAxis(engine.programs.layout, [runs[i] for i in places])
        data = engine.run_data._replace(rows={'test': engine.run_data.rows['test']})
        own = axis.spread(jax.tree.map(lambda a: engine.axis.fetch(a)[places], data))
        shared = engine.shared | axis.shared
        found = self._within_memory(lambda: self.programs.pixels((), own, {}, shared))
        return dict(zip(first, axis.fetch(found), strict=True))

    def _within_memory(self, compute: Callable[[], Any]) -> Any:
        """What a program gives, of fewer runs at a time where memory runs out."""
        while True:
            try:
                return jax.block_until_ready(compute())
            except (MemoryError, jax.errors.JaxRuntimeError) as error:
                fewer = self.programs.at_once // 2
                together = self.engine.plan.mapping == 'vmap'
                if not out_of_memory.is_out_of_memory(error) or not together or not fewer:
                    raise
            # Trained networks are not given up for want of room to evaluate all at once.
            self.programs.compile(fewer)


def moments(parts: np.ndarray, bias: np.ndarray, masks: int) -> np.ndarray:
    """The moments of `MOMENTS` from their parts, in float64.

    Args:
      parts: [runs, images, 6]: y, a, s, and over masks the means of a, a**2 and s.
      bias: [runs], the output bias.
      masks: how many masks; with one, `channel_mean_abar2` is undefined (nan).

    Returns:
      [runs, len(MOMENTS)] float64.
    """
    y, a, s, mask_a, mask_a2, mask_s = np.moveaxis(np.asarray(parts, np.float64), -1, 0)
    # (Mean over masks)**2 is too large by the mean's variance: taken off.
    if masks > 1:
        abar2 = mask_a**2 - (mask_a2 - mask_a**2) / (masks - 1)
    else:
        abar2 = np.full_like(a, np.nan)
    count = np.full(len(y), y.shape[1], np.float64)
    means = [y, y**2, a, a**2, a * y, s, mask_a, mask_a2, mask_a * y, mask_s, abar2]
    return np.stack([count, np.asarray(bias, np.float64), *(m.mean(-1) for m in means)], axis=-1)

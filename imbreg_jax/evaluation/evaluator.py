"""What a unit's networks predict, dropout off: validation, test and dense sets; and moments.

The moments say why predictions are what they are: first and second moments of
the output's parts over training images, without dropout and with channel
dropout alone, from which the shrinkage that dropout causes can be predicted.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from imbreg_jax.compute import out_of_memory
from imbreg_jax.compute.memory import EVALUATED_AT_ONCE
from imbreg_jax.data import images, randomness
from imbreg_jax.data.randomness import Purpose, purpose_key
from imbreg_jax.model.network import DropoutRates
from imbreg_jax.training import engine as engine_lib
from imbreg_jax.training.engine import Engine, RunData, TrainState

# The dense set is common to all repeats: its key is that of a repeat that cannot occur.
COMMON_REPEAT = 2**32 - 1

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


class Programs:
    """The compiled programs that evaluate, for all units of one program; see `engine.Programs`.

    Attributes:
      training: the programs that train.
      at_once: with `vmap`, at most so many runs are evaluated at a time.
      validate, finish: functions of one run over all runs of a unit.
    """

    def __init__(self, training: engine_lib.Programs):
        """Compiles nothing yet; programs compile at their first call."""
        self.training = training
        self.study = training.study
        settings = self.study.evaluation
        images_of_run = settings.batch_size * len(self.study.test_distributions)
        self.compile(max(1, EVALUATED_AT_ONCE // images_of_run))

    def compile(self, at_once: int) -> None:
        """Makes the programs anew, for so many runs at a time."""
        self.at_once = at_once
        self.validate = self.training.compile(self._validate_run, at_once)
        self.finish = self.training.compile(self._finish_run, at_once)

    def _predict(self, params, pictures):
        return self.training.network.apply({'params': params}, pictures)[0]

    def _validate_run(self, _, run, device, shared):
        params, data = run
        training = self.training

        def visit(noise, generating):
            return self._predict(params, training.task.synthesize(generating, noise))

        generating = data.generating['validation']
        noise_of = training.noise_of('validation', data, device, shared)
        batch = self.study.evaluation.batch_size
        return images.walk(len(generating), noise_of, visit, generating, batch=batch)

    def _finish_run(self, _, run, device, shared):
        params, data, tests, train_targets = run
        training, settings = self.training, self.study.evaluation

        def both(noise, generating):
            pictures = training.task.synthesize(generating, noise)
            return self._predict(params, pictures), training.target_of(data, generating, noise)

        def all_tests(noise, generating):
            return jax.vmap(lambda g: both(noise, g), 1, 1)(generating)

        def drawn(repeat, purpose):
            key = purpose_key(shared['root'], repeat, purpose)
            size, root = self.study.data.image_size, shared['root']
            return lambda indices: images.noise(key, indices, size, root)

        test_prediction, test_target = images.walk(
            self.study.data.test_size,
            drawn(data.repeat, Purpose.TEST_IMAGES),
            all_tests,
            tests.T,
            batch=settings.batch_size,
        )
        dense_prediction, dense_target = images.walk(
            settings.dense_size,
            drawn(jnp.uint32(COMMON_REPEAT), Purpose.DENSE_IMAGES),
            both,
            shared['dense'],
            batch=settings.batch_size,
        )
        parts = self._parts(params, data, train_targets, device, shared)
        return {
            'test_prediction': test_prediction.T,
            'test_target': test_target.T,
            'dense_prediction': dense_prediction,
            'dense_target': dense_target,
            'parts': parts,
            'bias': params['dense2']['bias'][0],
        }

    def _parts(
        self, params: Any, data: RunData, targets: jax.Array, device: Any, shared: Any
    ) -> jax.Array:
        """Per training image: target, output without its bias, sum of squared contributions."""
        training, settings = self.training, self.study.evaluation
        count = settings.moment_images
        weights = params['dense2']['kernel'][:, 0]
        root = purpose_key(shared['root'], data.repeat, Purpose.MOMENT_MASKS)
        rates = DropoutRates(data.conv_dropout_rate, data.dense_dropout_rate)

        def contributions(pictures, keys):
            _, features = training.network.apply(
                {'params': params}, pictures, rates, keys, None, method='with_keys'
            )
            terms = features * weights
            return terms.sum(-1), (terms * terms).sum(-1)

        def visit(noise, generating, index):
            pictures = training.task.synthesize(generating, noise)

            def masked(mask):
                # A key for each image, so that how many are looked at together changes nothing.
                key = jax.random.fold_in(root, mask)
                return contributions(pictures, jax.vmap(jax.random.fold_in, (None, 0))(key, index))

            a, s = contributions(pictures, None)
            mask_a, mask_s = lax.map(masked, jnp.arange(settings.moment_masks))
            return jnp.stack(
                [a, s, mask_a.mean(0), (mask_a * mask_a).mean(0), mask_s.mean(0)], axis=-1
            )

        values = images.walk(
            count,
            training.noise_of('train', data, device, shared),
            visit,
            data.generating['train'][:count],
            jnp.arange(count, dtype=jnp.int32),
            batch=settings.batch_size,
        )
        return jnp.concatenate([targets[:count, None], values], axis=-1)


class Evaluator:
    """Evaluates one unit's networks."""

    def __init__(self, engine: Engine, programs: Programs | None = None):
        """Args: the unit's engine, and an earlier unit's programs, or None to make them."""
        self.engine = engine
        self.study = engine.study
        self.programs = programs or Programs(engine.programs)

    def validation(self, state: TrainState) -> np.ndarray:
        """[runs, n] predictions on the validation split."""
        run = (state.params, self.engine.run_data)
        return self.engine.axis.fetch(
            self.programs.validate((), run, self.engine.device_data, self.engine.shared)
        )

    def validation_targets(self) -> np.ndarray:
        """[runs, n] targets of the validation split."""
        return self.engine.axis.fetch(self.engine.targets['validation'])

    def finish(self, state: TrainState) -> dict[str, np.ndarray]:
        """Everything that is kept of trained networks.

        Returns:
          Arrays [runs, ...] on the host: `test_generating`, `test_target`, `test_prediction`
          [runs, T, n], `dense_target`, `dense_prediction` [runs, M], `validation_target`,
          `validation_prediction`, `moments` [runs, len(MOMENTS)] float64.
        """
        engine, study = self.engine, self.study
        tests = np.stack(
            [
                np.stack(
                    [
                        law.ppf(
                            randomness.uniforms(
                                study.seed, repeat, Purpose.TEST_TARGETS, study.data.test_size
                            )
                        ).astype(np.float32)
                        for law in study.test_distributions
                    ]
                )
                for _, repeat in engine.unit.runs
            ]
        )
        settings = study.evaluation
        dense = np.linspace(
            settings.dense_low, settings.dense_high, settings.dense_size, dtype=np.float32
        )
        shared = engine.shared | {'dense': jax.device_put(dense, engine.axis.replicated)}
        run = (
            state.params,
            engine.run_data,
            engine.axis.spread(tests),
            engine.targets['train'],
        )
        out = self._finished(run, shared)
        parts = out.pop('parts')
        out |= {
            'test_generating': tests,
            'validation_target': self.validation_targets(),
            'validation_prediction': self.validation(state),
            'moments': moments(parts, out.pop('bias'), study.evaluation.moment_masks),
        }
        return out

    def _finished(self, run: Any, shared: Any) -> dict[str, np.ndarray]:
        """What the program gives, of fewer runs at a time where memory runs out."""
        while True:
            try:
                return self.engine.axis.fetch(
                    self.programs.finish((), run, self.engine.device_data, shared)
                )
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

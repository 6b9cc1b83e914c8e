"""Tests of imbreg_jax.training.optimizer, against optax's whole optimisers and by hand."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
from absl.testing import absltest, parameterized

from imbreg_jax import study
from imbreg_jax.study.fields import DIAL, as_number
from imbreg_jax.study.settings import of_role
from imbreg_jax.training import optimizer

_STEPS = 20


def _dials(**changed):
    fields = {name: study.FIELDS[name] for name in of_role(DIAL, 'training')}
    return {
        name: jnp.float32(as_number(field, changed.get(name.split('.')[1], field.default)))
        for name, field in fields.items()
    }


def _tree(seed):
    generator = np.random.default_rng(seed)
    return {'a': jnp.float32(generator.normal(size=(7, 5))), 'b': jnp.float32([3.0, -0.0])}


def _walk(transformation, steps=_STEPS):
    """Parameters after some steps of gradients that follow from them."""

    @jax.jit
    def step(params, state):
        gradients = jax.tree.map(lambda p, g: p + 0.5 * g, params, _tree(1))
        updates, state = transformation.update(gradients, state, params)
        return optax.apply_updates(params, updates), state

    params = _tree(0)
    state = transformation.init(params)
    for _ in range(steps):
        params, state = step(params, state)
    return params


class OptimizerTest(parameterized.TestCase):
    def test_without_decay_is_adam_bit_for_bit(self):
        settings, dials = study.TrainingSettings(), _dials(learning_rate=1e-3)
        found = _walk(optimizer.build(settings, dials, jnp.float32(0.3)))
        bare = optax.chain(optax.scale_by_adam(), optax.scale(-dials['training.learning_rate']))
        for name, value in _walk(bare).items():
            np.testing.assert_array_equal(found[name].view('u4'), value.view('u4'))

    @parameterized.parameters(
        ({}, {'weight_decay': 0.25}, optax.adamw(1e-2, weight_decay=0.25)),
        ({'optimizer': 'sgd'}, {}, optax.sgd(1e-2, momentum=0.9)),
        ({'optimizer': 'sgd', 'momentum': 0.0}, {}, optax.sgd(1e-2)),
        (
            {'gradient_clip': 0.5},
            {},
            optax.chain(optax.clip_by_global_norm(0.5), optax.adam(1e-2)),
        ),
    )
    def test_is_optaxs(self, fields, dials, whole):
        settings = dataclasses.replace(study.TrainingSettings(), **fields)
        found = _walk(optimizer.build(settings, _dials(learning_rate=1e-2, **dials)))
        # Twenty steps of a hundredth, each rounded.
        for name, value in _walk(whole).items():
            np.testing.assert_allclose(found[name], value, rtol=0, atol=_STEPS * 3e-7)

    def test_momentum_is_of_steps(self):
        """PyTorch's: velocity = momentum * velocity + gradient, weight -= rate * velocity."""
        settings = dataclasses.replace(study.TrainingSettings(), optimizer='sgd', momentum=0.5)
        found = _walk(optimizer.build(settings, _dials(learning_rate=0.1)), 3)
        weight, velocity = np.float64(_tree(0)['a']), 0.0
        for _ in range(3):
            velocity = 0.5 * velocity + weight + 0.5 * np.float64(_tree(1)['a'])
            weight = weight - 0.1 * velocity
        np.testing.assert_allclose(found['a'], weight, atol=1e-6)


class ScheduleTest(parameterized.TestCase):
    @parameterized.product(
        kind=('constant', 'linear', 'cosine', 'step'),
        warmup=(0.0, 0.25),
    )
    def test_is_optaxs(self, kind, warmup):
        steps = 400
        rising, left = round(warmup * steps), round((1 - warmup) * steps)
        after = {
            'constant': optax.constant_schedule(1.0),
            'linear': optax.linear_schedule(1.0, 0.0, left),
            'cosine': optax.cosine_decay_schedule(1.0, left),
            'step': optax.piecewise_constant_schedule(1.0, {left // 2: 0.1, left * 3 // 4: 0.1}),
        }[kind]
        wanted = optax.join_schedules([optax.linear_schedule(0.0, 1.0, rising), after], [rising])
        numbers = jnp.arange(steps)
        dials = _dials(schedule=kind, warmup=warmup)
        found = jax.vmap(lambda n: optimizer.schedule(dials, n / steps))(numbers)
        np.testing.assert_allclose(found, jax.vmap(wanted)(numbers), atol=1e-6)

    def test_by_default_is_one_to_the_last_bit(self):
        done = jnp.linspace(0, 1, 1001)
        found = jax.jit(jax.vmap(lambda share: optimizer.schedule(_dials(), share)))(done)
        np.testing.assert_array_equal(found, np.ones(1001, np.float32))

    def test_of_every_kind_shares_a_program(self):
        made = study.default_config()
        made.conditions = {
            kind: {'training': {'schedule': kind, 'warmup': 0.1, 'weight_decay': 0.1 * i}}
            for i, kind in enumerate(study.FIELDS['training.schedule'].choices)
        }
        self.assertLen(study.resolve(made).programs(), 1)


if __name__ == '__main__':
    absltest.main()

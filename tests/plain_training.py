"""Training as a reader can check it line by line: one run, one step after the other.

It takes the network's plain path and an optimiser of optax's, draws all images at once, and asks
the engine for nothing but the definitions of its random numbers. A remedy's parts are handed to it
as functions.
"""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

import small_study
from imbreg_jax.data import randomness
from imbreg_jax.data.randomness import Purpose, purpose_key
from imbreg_jax.data.tasks.scaled_noise import pixel_std, scaled_noise
from imbreg_jax.model import network as network_lib
from imbreg_jax.model.network import RegressionCNN
from imbreg_jax.study import Condition, ModelSettings, Study


def training_set(study: Study, condition: Condition, repeat: int) -> tuple[Any, Any]:
    """The training images [N, H, W, 1] of a run of the paper's task, and their targets [N]."""
    count = condition.data.train_size
    uniforms = randomness.uniforms(study.seed, repeat, Purpose.TRAIN_TARGETS, count)
    generating = jnp.float32(condition.distribution.ppf(uniforms))
    noise = small_study.noise(study, repeat, Purpose.TRAIN_IMAGES, count)
    pictures = scaled_noise(generating, noise, None)
    return pictures, pixel_std(pictures)


def squared_error(outputs: Any, targets: Any, weights: Any) -> Any:
    """The weighted mean of squared errors."""
    return jnp.mean(weights * (outputs - targets) ** 2)


def same_images(pictures: Any, targets: Any, key: Any) -> tuple[Any, Any]:
    """A step's images and targets where no remedy varies them."""
    del key
    return pictures, targets


def one_view(pictures: Any, key: Any) -> Any:
    """The only view where no remedy makes others."""
    del key
    return pictures[None]


def no_penalty(features: Any, outputs: Any, targets: Any, weights: Any, encoded: Any) -> float:
    """What is added to the loss where no remedy adds any."""
    del features, outputs, targets, weights, encoded
    return 0.0


def same_features(features: Any, chosen: Any, state: Any, key: Any) -> Any:
    """What the features are mapped to where no remedy maps them."""
    del chosen, state, key
    return features


@functools.cache
def _network(model: ModelSettings, outputs: int) -> tuple[RegressionCNN, Any, Any]:
    """The network on its plain path, its initialisation and its features, compiled."""
    made = network_lib.of(model, outputs=outputs).clone(fold=False)
    return made, jax.jit(made.init), jax.jit(functools.partial(made.apply, method='encode'))


_adam = functools.cache(optax.adam)


@functools.cache
def _step(
    network: RegressionCNN,
    optimizer: optax.GradientTransformation,
    conv_dropout_rate: float,
    dense_dropout_rate: float,
    loss: Callable[..., Any],
    map_features: Callable[..., Any],
    vary: Callable[..., Any],
    views: Callable[..., Any],
    penalty: Callable[..., Any],
) -> Any:
    """A compiled step."""

    @jax.jit
    def step(params, moments, state, data, chosen, keys, factors, learned):
        pictures, targets, weights = data
        mask_key, vary_key, views_key, features_key = keys
        varied, wanted = vary(pictures[chosen], targets[chosen], vary_key)
        seen = views(varied, views_key)
        every = seen.reshape(-1, *seen.shape[2:])

        def loss_of(params, learned):
            conv_key, dense_key = jax.random.split(mask_key)
            encoded, statistics = network.apply(
                {'params': params}, every, conv_dropout_rate, conv_key, method='encode',
                mutable=['statistics'],
            )  # fmt: skip
            features = map_features(encoded, chosen, state, features_key)
            outputs = network.apply(
                {'params': params}, features, dense_dropout_rate, dense_key, method='head'
            )
            # [V, B], or [V, B, Q] of a network with several outputs.
            of_views = outputs.reshape(*seen.shape[:2], -1)
            of_views = of_views[..., 0] if of_views.shape[-1] == 1 else of_views
            rest = wanted, weights[chosen]
            found = sum(loss(one, *rest, *learned) for one in of_views) / len(seen)
            mapped, encoded = (f.reshape(*seen.shape[:2], -1) for f in (features, encoded))
            found += penalty(mapped, of_views, *rest, encoded)
            return found, statistics.get('statistics', {})

        (found, statistics), (gradients, in_learned) = jax.value_and_grad(
            loss_of, (0, 1), has_aux=True
        )(params, learned)
        updates, moments = optimizer.update(gradients, moments, params)
        updates = {
            layer: jax.tree.map(lambda u, layer=layer: factors[layer] * u, parts)
            for layer, parts in updates.items()
        }
        after = optax.apply_updates(params, updates)
        for layer, kinds in statistics.items():
            for kind, value in kinds.items():
                after[layer][kind] = 0.9 * params[layer][kind] + 0.1 * value
        return after, moments, found, in_learned

    return step


def train(
    study: Study,
    condition: Condition,
    repeat: int,
    epochs: int,
    *,
    recipe: Callable[..., tuple[Any, Any]] = lambda pictures, targets: (pictures, targets),
    weights: np.ndarray | Callable[[int], np.ndarray] | None = None,
    outputs: int = 1,
    loss: Callable[..., Any] = squared_error,
    map_features: Callable[..., Any] = same_features,
    views: Callable[..., Any] = one_view,
    penalty: Callable[..., Any] = no_penalty,
    fold: Callable[..., Any] = lambda state, features_of: state,
    state: Any = (),
    rates: Callable[[int, str], float] = lambda epoch, layer: 1.0,
    optimizer: optax.GradientTransformation | None = None,
    vary: Callable[..., tuple[Any, Any]] = same_images,
    learned: tuple[Any, ...] = (),
    learner: optax.GradientTransformation | None = None,
) -> tuple[RegressionCNN, Mapping[str, Any], np.ndarray]:
    """Trains one run.

    Args:
      study, condition, repeat: which.
      epochs: how many.
      recipe: the training set from the images and their targets.
      weights: [N, ...] of its images, or a function of the epoch to them.
      outputs: numbers that the network gives for each image (Q).
      loss: of outputs [B], or [B, Q] of several, targets [B] and weights [B, ...].
      map_features: of features [B, F], the batch's places, the remedy's state and the step's key.
      views: [V, B, ...] of images [B, ...] and a key.
      penalty: of features [V, B, F], outputs [V, B] or [V, B, Q], targets and weights [B] and
        features before their map [V, B, F], added to the loss.
      fold: the remedy's state after an epoch, from that before and a function of a key to the
        features [N, F] of all images under masks of their own keys.
      state: the remedy's first.
      rates: the factor on an epoch's learning rate of a layer.
      optimizer: by default Adam at the condition's learning rate.
      vary: a step's images and targets, of those that it has and the step's key.
      learned: numbers that the loss takes after the weights, and training learns.
      learner: their optimiser.

    Returns:
      The network, its parameters, and the losses [epochs, steps]; where there are numbers to be
      learned, these in the place of the network.
    """
    training, model = condition.training, condition.model
    network, initialize, encode = _network(model, outputs)
    root = randomness.root_key(study.seed)
    key = lambda purpose: purpose_key(root, repeat, purpose)  # noqa: E731
    pictures, targets = recipe(*training_set(study, condition, repeat))
    count = len(targets)
    optimizer = optimizer or _adam(training.learning_rate)
    params = initialize(key(Purpose.INITIALIZATION), pictures[:1])['params']
    moments = optimizer.init(params)
    step = _step(
        network, optimizer, model.conv_dropout_rate, model.dense_dropout_rate, loss, map_features,
        vary, views, penalty,
    )  # fmt: skip
    learned_moments = learner.init(learned) if learner else None

    losses = []
    steps = count // training.batch_size
    for epoch in range(epochs):
        shuffle = jax.random.fold_in(key(Purpose.SHUFFLE), epoch)
        order = jax.random.permutation(shuffle, count)
        factors = {layer: rates(epoch, layer) for layer in params}
        held = weights(epoch) if callable(weights) else weights
        data = pictures, targets, jnp.ones(count) if held is None else jnp.float32(held)
        for number in range(steps):
            chosen = order[number * training.batch_size :][: training.batch_size]
            keys = [
                jax.random.fold_in(key(purpose), epoch * steps + number)
                for purpose in (
                    Purpose.DROPOUT,
                    Purpose.VARIATIONS,
                    Purpose.VIEWS,
                    Purpose.FEATURES,
                )
            ]
            params, moments, found, in_learned = step(
                params, moments, state, data, chosen, keys, factors, learned
            )
            if learner:
                updates, learned_moments = learner.update(in_learned, learned_moments)
                learned = optax.apply_updates(learned, updates)
            losses.append(float(found))
        fold_key = jax.random.fold_in(key(Purpose.FOLD_MASKS), epoch)
        keys = jax.vmap(jax.random.fold_in, (None, 0))(fold_key, jnp.arange(count))
        state = fold(
            state,
            lambda params=params, keys=keys: encode(
                {'params': params}, pictures, model.conv_dropout_rate, keys
            ),
        )
    return learned or network, params, np.array(losses).reshape(epochs, steps)

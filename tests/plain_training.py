"""Training as a reader can check it line by line: one run, one step after the other.

It takes the network's plain path and optax.adam, draws all images at once, and asks the engine for
nothing but the definitions of its random numbers. A remedy's parts are handed to it as functions.
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
from imbreg_jax.model.network import RegressionCNN
from imbreg_jax.study import Condition, Study


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


def same_features(features: Any, chosen: Any, state: Any) -> Any:
    """What the features are mapped to where no remedy maps them."""
    del chosen, state
    return features


@functools.cache
def _network(conv_features: Any, dense_features: int) -> tuple[RegressionCNN, Any, Any]:
    """The network, its initialisation and its features, compiled."""
    made = RegressionCNN(conv_features=conv_features, dense_features=dense_features, fold=False)
    return made, jax.jit(made.init), jax.jit(functools.partial(made.apply, method='encode'))


@functools.cache
def _step(
    network: RegressionCNN,
    learning_rate: float,
    conv_dropout_rate: float,
    dense_dropout_rate: float,
    loss: Callable[..., Any],
    map_features: Callable[..., Any],
) -> Any:
    """A compiled step of Adam."""
    adam = optax.adam(learning_rate)

    @jax.jit
    def step(params, moments, state, data, chosen, mask_key, factors):
        pictures, targets, weights = data

        def loss_of(params):
            conv_key, dense_key = jax.random.split(mask_key)
            features = network.apply(
                {'params': params}, pictures[chosen], conv_dropout_rate, conv_key, method='encode'
            )
            features = map_features(features, chosen, state)
            outputs = network.apply(
                {'params': params}, features, dense_dropout_rate, dense_key, method='head'
            )
            return loss(outputs[:, 0], targets[chosen], weights[chosen])

        found, gradients = jax.value_and_grad(loss_of)(params)
        updates, moments = adam.update(gradients, moments)
        updates = {
            layer: jax.tree.map(lambda u, layer=layer: factors[layer] * u, parts)
            for layer, parts in updates.items()
        }
        return optax.apply_updates(params, updates), moments, found

    return step


def train(
    study: Study,
    condition: Condition,
    repeat: int,
    epochs: int,
    *,
    recipe: Callable[..., tuple[Any, Any]] = lambda pictures, targets: (pictures, targets),
    weights: np.ndarray | None = None,
    loss: Callable[..., Any] = squared_error,
    map_features: Callable[..., Any] = same_features,
    fold: Callable[..., Any] = lambda state, features_of: state,
    state: Any = (),
    rates: Callable[[int, str], float] = lambda epoch, layer: 1.0,
) -> tuple[RegressionCNN, Mapping[str, Any], np.ndarray]:
    """Trains one run.

    Args:
      study, condition, repeat: which.
      epochs: how many.
      recipe: the training set from the images and their targets.
      weights: [N] of its images.
      loss: of outputs, targets and weights [B].
      map_features: of features [B, F], the batch's places and the remedy's state.
      fold: the remedy's state after an epoch, from that before and a function of a key to the
        features [N, F] of all images under masks of their own keys.
      state: the remedy's first.
      rates: the factor on an epoch's learning rate of a layer.

    Returns:
      The network, its parameters, and the losses [epochs, steps].
    """
    training, model = condition.training, condition.model
    network, initialize, encode = _network(model.conv_features, model.dense_features)
    root = randomness.root_key(study.seed)
    key = lambda purpose: purpose_key(root, repeat, purpose)  # noqa: E731
    pictures, targets = recipe(*training_set(study, condition, repeat))
    count = len(targets)
    data = pictures, targets, jnp.ones(count) if weights is None else jnp.float32(weights)
    params = initialize(key(Purpose.INITIALIZATION), pictures[:1])['params']
    moments = optax.adam(training.learning_rate).init(params)
    step = _step(
        network, training.learning_rate, model.conv_dropout_rate, model.dense_dropout_rate, loss,
        map_features,
    )  # fmt: skip

    losses = []
    steps = count // training.batch_size
    for epoch in range(epochs):
        shuffle = jax.random.fold_in(key(Purpose.SHUFFLE), epoch)
        order = jax.random.permutation(shuffle, count)
        factors = {layer: rates(epoch, layer) for layer in params}
        for number in range(steps):
            chosen = order[number * training.batch_size :][: training.batch_size]
            mask_key = jax.random.fold_in(key(Purpose.DROPOUT), epoch * steps + number)
            params, moments, found = step(params, moments, state, data, chosen, mask_key, factors)
            losses.append(float(found))
        fold_key = jax.random.fold_in(key(Purpose.FOLD_MASKS), epoch)
        keys = jax.vmap(jax.random.fold_in, (None, 0))(fold_key, jnp.arange(count))
        state = fold(
            state,
            lambda params=params, keys=keys: encode(
                {'params': params}, pictures, model.conv_dropout_rate, keys
            ),
        )
    return network, params, np.array(losses).reshape(epochs, steps)

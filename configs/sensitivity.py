"""What the paper leaves open: each alternative as a condition beside our reading, 10 repeats each.

    ./launch.sh --config=configs/sensitivity.py
    ./launch.sh --config=configs/sensitivity.py:u1_10    # for one training distribution only
    python -m imbreg_jax.main --config=configs/sensitivity.py

Time: hours on 2 Xeon cores with AVX-512. The two alternatives that cannot be folded into strided
convolutions (ReLU before the pool, single values dropped) train at about 500 microseconds an image
there, the others at 65.

The alternatives are changed one at a time, for each of the paper's three training distributions:
the ReLU before the pool, the generating value or the N - 1 standard deviation as the target,
single values dropped for channels after the convolution, and Flax's default initialisation. The
targets are data to a program, so the 18 conditions (180 networks) take four compilations: one for
our reading with both other targets, one for each of the other three alternatives. Conditions are
paired by repeat, so a small effect shows. Expect the two other targets to change next to nothing.
"""

import ml_collections

from imbreg_jax import study

TRAIN_DISTRIBUTIONS = ('u1_10', 'u1_5', 'n5_5_1')
ALTERNATIVES: dict[str, dict[str, object]] = {
    'paper': {},
    'generating_target': {'task': {'target': 'generating'}},
    'sample_std': {'task': {'ddof': 1}},
    'relu_pool': {'model': {'order': 'relu_pool'}},
    'element_dropout': {'model': {'conv_dropout': 'element'}},
    'flax_initialization': {'model': {'initialization': 'flax'}},
}


def get_config(
    train_distributions: str = ','.join(TRAIN_DISTRIBUTIONS),
) -> ml_collections.ConfigDict:
    """Every alternative for each of these training distributions."""
    names = train_distributions.split(',')
    config = study.default_config()
    config.name = 'sensitivity'
    if tuple(names) != TRAIN_DISTRIBUTIONS:
        config.name = '-'.join(['sensitivity', *names])
    config.conditions = {
        f'{distribution}-{alternative}': {'train_distribution': distribution, **changes}
        for alternative, changes in ALTERNATIVES.items()
        for distribution in names
    }
    return config

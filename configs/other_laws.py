"""Laws that the paper does not have: heavy ends, an empty middle, two peaks, a long tail.

    ./launch.sh --config=configs/other_laws.py
    python -m imbreg_jax.main --config=configs/other_laws.py

Time: 9 minutes on 2 CPU cores.

On the paper's task, in one pass, each law against U(1, 10). Expect the report to order them by what
they cost.
"""

import ml_collections

from imbreg_jax import study

LAWS = {
    'balanced': 'u1_10',
    'triangle': 'triangular(1, 5.5, 10)',
    'inverse_triangle': 'inverse_triangular(1, 5.5, 10)',
    'tail': 'cut(exponential(1, 2), 1, 10)',
    'pareto': 'pareto(1, 1, 10)',
    'two_peaks': 'cut(mixture(normal(3, 0.5), 0.5, normal(8, 0.5), 0.5), 1, 10)',
    'ends': 'gap(u1_10, 2, 9)',
}


def get_config() -> ml_collections.ConfigDict:
    """A condition for each law."""
    config = study.default_config()
    config.name = 'other_laws'
    config.conditions = {name: {'train_distribution': law} for name, law in LAWS.items()}
    config.training.epochs, config.training.learning_rate = 1, 15 * 5e-7
    config.evaluation.moment_images = 1000
    return config

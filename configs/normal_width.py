"""How narrow may a normal law be? N(5.5, σ) cut to 1 to 10, σ from 0.25 to 4.

    ./launch.sh --config=configs/normal_width.py
    python -m imbreg_jax.main --config=configs/normal_width.py

Time: 7 minutes on 2 CPU cores.

The paper has σ = 1 only. On its task, in one pass, each width against U(1, 10). Expect the report
to draw errors against the distance between the laws.
"""

import ml_collections

from imbreg_jax import study

WIDTHS = (0.25, 0.5, 1, 2, 4)


def get_config() -> ml_collections.ConfigDict:
    """The balanced law, and normal ones of several widths."""
    config = study.default_config()
    config.name = 'normal_width'
    laws = [f'cut(normal(5.5, {width:g}), 1, 10)' for width in WIDTHS]
    config.sweep = {'train_distribution': ['u1_10', *laws]}
    config.training.epochs, config.training.learning_rate = 1, 15 * 5e-7
    config.evaluation.moment_images = 1000
    return config

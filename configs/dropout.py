"""Does dropout decide what imbalance costs? Both rates from 0 to 0.75, under the paper's laws.

    ./launch.sh --config=configs/dropout.py
    python -m imbreg_jax.main --config=configs/dropout.py

Time: 14 minutes on 2 CPU cores beside other work. All 120 networks are one program, since rates
and laws are data.

Expect errors against the rate, a line for each law: without dropout the predictions are not 10 %
too small.
"""

import ml_collections

from imbreg_jax import study

RATES = (0.0, 0.25, 0.5, 0.75)


def get_config() -> ml_collections.ConfigDict:
    """The paper's laws in one pass, for every rate of both dropouts together."""
    config = study.default_config()
    config.name = 'dropout'
    config.conditions = {law: {'train_distribution': law} for law in ('u1_10', 'u1_5', 'n5_5_1')}
    config.sweep = {
        ('model.conv_dropout_rate', 'model.dense_dropout_rate'): [(rate, rate) for rate in RATES]
    }
    config.training.epochs, config.training.learning_rate = 1, 15 * 5e-7
    config.analysis.reference = 'u1_10-conv_dropout_rate_0.5-dense_dropout_rate_0.5'
    config.evaluation.moment_images = 300
    return config

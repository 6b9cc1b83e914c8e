"""The whole path in little: `paper.py`'s three conditions, small enough for a look at every output.

    ./launch.sh --config=configs/smoke.py
    python -m imbreg_jax.main --config=configs/smoke.py

Time: 15 seconds on 2 Xeon cores with AVX-512, compilation included.

Expect every file of a full study, with training losses that fall (the learning rate is 2,000
times the paper's, for 24 steps instead of 15,000) and errors that say nothing about the paper.
"""

import ml_collections

from imbreg_jax import study


def get_config() -> ml_collections.ConfigDict:
    """Three conditions of two repeats on 600 images."""
    config = study.default_config()
    config.name = 'smoke'
    config.repeats = 2
    config.conditions = {name: {'train_distribution': name} for name in ('u1_10', 'u1_5', 'n5_5_1')}
    config.data.train_size = 600
    config.data.validation_size = 100
    config.data.test_size = 100
    config.training.epochs = 2
    config.training.learning_rate = 1e-3
    config.evaluation.batch_size = 50
    config.evaluation.dense_size = 200
    config.evaluation.moment_images = 100
    config.evaluation.moment_masks = 2
    config.compute.steps_per_chunk = 6
    return config

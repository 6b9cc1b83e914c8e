"""The paper's condition with a missing range: training targets from U(1, 5), 10 repeats.

    ./launch.sh --config=configs/u1_5.py
    python -m imbreg_jax.main --config=configs/u1_5.py

Time: that of `u1_10.py`.

Expect an error on U(1, 10) that differs from repeat to repeat three times as much as that of
`u1_10.py` and is not much larger on average: these networks never see a target above 5. Everything
random but the targets is that of `u1_10.py`.
"""

import ml_collections

from imbreg_jax import study


def get_config() -> ml_collections.ConfigDict:
    """The condition with a missing range; every other field is the paper's by default."""
    config = study.default_config()
    config.name = 'u1_5'
    config.train_distribution = 'u1_5'
    return config

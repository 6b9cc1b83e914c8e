"""Tests of imbreg_jax.results.epoch_rows."""

import numpy as np
import pandas as pd
from absl.testing import absltest

from imbreg_jax.results import epoch_rows


class EpochRowsTest(absltest.TestCase):
    def test_runs_that_ended_far_above_their_start_are_found(self):
        runs = {  # Validation MSE by epoch, and whether the run diverged.
            'learns': ([37.0, 20.0, 9.0], False),
            'worse': ([37.0, 20.0, 3.1 * 37.0], False),
            'a_little': ([37.0, 40.0, 2.9 * 37.0], False),
            'recovered': ([37.0, 1e9, 9.0], False),
            'no_number': ([37.0, 9.0, np.nan], False),
            'diverged': ([37.0, 1e9, 1e9], True),
        }
        rows = pd.DataFrame(
            [
                {'condition': name, 'repeat': 4, 'epoch': epoch, 'validation_mse': value}
                | {'diverged': diverged}
                for name, (values, diverged) in runs.items()
                # Whatever order the rows are in.
                for epoch, value in reversed(list(enumerate(values)))
            ]
        )
        found = epoch_rows.ended_far_above(rows)
        self.assertEqual(list(found.condition), ['worse', 'no_number'])
        self.assertEqual(list(found.repeat), [4, 4])
        self.assertEqual(list(found.before), [37.0, 37.0])
        np.testing.assert_allclose(found.after, [3.1 * 37.0, np.nan])


if __name__ == '__main__':
    absltest.main()

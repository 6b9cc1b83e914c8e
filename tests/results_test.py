"""Tests of results/: what the README says of the committed values, they say."""

import pathlib

import pandas as pd
from absl.testing import absltest

_ROOT = pathlib.Path(__file__).resolve().parent.parent
_README = ' '.join((_ROOT / 'README.md').read_text('utf-8').split())
_KEY = ['condition', 'predictor', 'repeat', 'test_distribution', 'metric']


def _values(study: str) -> pd.Series:
    rows = pd.read_csv(_ROOT / 'results' / study / 'results.csv', keep_default_na=False)
    rows['condition'] = rows['condition'].str.removesuffix('-one_pass')
    rows = rows[rows['predictor'].str.startswith('cnn') & rows['metric'].isin(['mse', 'mape'])]
    return rows.set_index(_KEY)['value'].astype(float)


class OnePassTest(absltest.TestCase):
    def test_is_beside_fifteen_what_the_readme_says(self):
        both = pd.concat({'paper': _values('paper'), 'quick': _values('quick')}, axis=1)
        self.assertLen(both, 2 * 3 * 10 * 3 * 2)
        self.assertFalse(both.isna().any(axis=None))
        for predictor, cells in both.groupby('predictor'):
            means = cells.groupby(['condition', 'test_distribution', 'metric']).mean()
            more = 100 * (means['quick'] / means['paper'] - 1)
            alike = [
                cell['quick'].corr(cell['paper'])
                for _, cell in cells.groupby(['condition', 'test_distribution', 'metric'])
            ]
            sentence = (
                f'{more.min():.1f} to {more.max():.1f} % larger, and correlate over the repeats '
                f'with {min(alike):.2f} to {max(alike):.2f}'
                if predictor == 'cnn'
                else f'{more.min():.1f} to {more.max():.1f} % and {min(alike):.3f} or more'
            )
            self.assertIn(sentence, _README)


if __name__ == '__main__':
    absltest.main()

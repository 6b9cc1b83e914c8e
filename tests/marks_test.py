"""What a page knows of a drawing's marks is what was drawn."""

import json

import numpy as np
from absl.testing import absltest

from imbreg_jax.analysis import canvas, marks


def _numbers(text):
    return [float(value) for value in text.split()]


class MarksTest(absltest.TestCase):
    def _described(self, draw):
        """Returns what is said of the only panel, and of its marks in the order of drawing."""
        with canvas.settings():
            drawing, grid = canvas.canvas(2)
            draw(grid[0, 0])
        finished = canvas.finish('name', 'title', 'caption', drawing, marks.describe)
        for name in finished.meaning:
            self.assertIn(f'id="{name}"', finished.svg)
        panel = finished.meaning['panel0']
        return panel, [said for said in finished.meaning.values() if 'kind' in said]

    def test_of_error_bars_what_is_not_finite_is_neither_drawn_nor_known(self):
        def draw(axes):
            low = high = [0.1, np.nan, 0.2]
            bars = axes.errorbar([1, 2, np.nan], [1, 2, 3], yerr=[low, high], fmt='o', capsize=2,
                                 label='law')  # fmt: skip
            marks.shows(bars, remedy=['a', 'b', 'c'])

        _, said = self._described(draw)
        (shown,) = (one for one in said if one['kind'] == 'marks')
        (interval,) = (one for one in said if one['kind'] == 'intervals')
        self.assertEqual((shown['x'], shown['y'], shown['label']), ('1 2', '1 2', 'law'))
        self.assertEqual(json.loads(shown['remedys']), ['a', 'b'])
        self.assertEqual((interval['x'], interval['y']), ('1 1', '0.9 1.1'))
        self.assertEqual(json.loads(interval['remedys']), ['a'])
        # The ends of bars have no values of their own.
        self.assertEqual({'x' in one for one in said if one['kind'] == 'caps'}, {False})

    def test_lines_bands_and_bars_are_told_from_what_is_no_data(self):
        def draw(axes):
            marks.shows(axes.plot([0, 1], [2, 3]), condition='c')
            marks.shows(axes.plot([0, 1], [2, 2], 'r'), condition='c', kind='intervals')
            marks.shows(axes.fill_between([0, 1], [1, 1], [2, 2]), condition='c')
            marks.shows(axes.barh([5], [0.5], left=[0.25]).patches, condition='d')
            axes.axvline(0.5)
            axes.axhspan(1, 2)

        _, said = self._described(draw)
        kinds = [one['kind'] for one in said]
        self.assertCountEqual(kinds, ['line', 'intervals', 'band', 'bars', 'guide', 'guide'])
        bar = said[kinds.index('bars')]
        self.assertEqual((bar['x'], bar['y'], bar['condition']), ('0.5', '5', 'd'))
        self.assertEqual([one for one in said if one['kind'] == 'guide'], [{'kind': 'guide'}] * 2)

    def test_an_axis_says_where_its_values_lie_and_what_they_are_called(self):
        def draw(axes):
            axes.plot([1, 10, 100], [0, 1, 2], 'o')
            axes.set(xscale='log', xlabel='error', ylim=(2.5, -0.5))
            axes.set_yticks(range(3), ['a', 'b\nc', '0.5'])

        panel, _ = self._described(draw)
        x, y = json.loads(panel['x']), json.loads(panel['y'])
        self.assertEqual((x['label'], x['log'], x['names']), ('error', True, []))
        self.assertEqual(y['names'], [[0, 'a'], [1, 'b c'], [2, '0.5']])
        self.assertEqual(y['ends'], [2.5, -0.5])
        (left, right), (bottom, top) = x['places'], y['places']
        self.assertLess(left, right)
        self.assertLess(top, bottom)  # As an SVG file counts.

    def test_numbers_at_fixed_places_are_no_names(self):
        def draw(axes):
            axes.plot([1, 2], [1, 2], 'o')
            axes.set_xticks([1, 1.5, 2])

        panel, _ = self._described(draw)
        self.assertEmpty(json.loads(panel['x'])['names'])

    def test_a_smooth_curve_is_known_at_some_of_its_points(self):
        x = np.linspace(0, 1, 5000)
        _, (line,) = self._described(lambda axes: axes.plot(x, x**2))
        known = np.array(list(map(_numbers, (line['x'], line['y']))))
        self.assertLessEqual(known.shape[1], 200)
        self.assertEqual((known[0, 0], known[0, -1]), (0, 1))
        np.testing.assert_allclose(known[1], known[0] ** 2, atol=2e-5)  # Six digits of each.


if __name__ == '__main__':
    absltest.main()

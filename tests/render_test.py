"""One table in four formats: the same values, and nothing that a label could do."""

import io
import re
from html import unescape
from unittest import mock

import numpy as np
import pandas as pd
from absl.testing import absltest

from imbreg_jax.analysis import formats, section
from imbreg_jax.analysis.render import csv, html, markdown, terminal
from imbreg_jax.analysis.section import Column, Table

_FRAME = pd.DataFrame(
    {
        'name': ['a', '<img src=x onerror=y>', '[a](javascript:b)', 'a|b\nc'],
        'mean': [1 / 3, 2.0, np.nan, 1e-12],
        'std': [0.1, np.nan, np.nan, 0.0],
        'p': [0.5, 1e-9, np.nan, 0.04],
        'nothing': [np.nan] * 4,
        'source': ['a.csv lines 1–3', 'a.csv lines 4–5', 'b.csv', '"><script>'],
    }
)
_TABLE = Table(
    'errors',
    'Errors of <all>',
    _FRAME,
    [
        Column('name', 'trained on', labels={'a': 'U(1, 10)'}),
        Column(('mean', 'std'), 'MSE', formats.SPREAD, 'source'),
        Column('p', 'p', formats.P_VALUE, lambda row: f'{row["name"]}!'),
        Column('nothing', 'paper', formats.PRINTED),
    ],
    ['Mean ± standard deviation.'],
)
_TABLE.columns[-1] = Column(('nothing', 'nothing'), 'paper', formats.PRINTED)
_RENDERERS = {'csv': csv.table, 'markdown': markdown.table, 'html': html.table,
              'terminal': terminal.table}  # fmt: skip


class RenderTest(absltest.TestCase):
    def test_every_format_but_csv_has_the_same_texts(self):
        cells = [cell.text for row in _TABLE.rows() for cell in row[1:3]]
        self.assertEqual(cells[:4], ['0.333 ± 0.100', '0.500', '2.000 ± n/a', '< 0.001'])
        for name, render in _RENDERERS.items():
            text = unescape(render(_TABLE)).replace('\u00a0', ' ')
            for wanted in (
                [] if name == 'csv' else [*cells, 'U(1, 10)', 'trained on', 'a|b c', 'Mean']
            ):
                with self.subTest(name, wanted=wanted):
                    self.assertIn(wanted, text.replace('\\', ''))

    def test_csv_is_the_frame_to_the_last_digit(self):
        read = pd.read_csv(io.StringIO(csv.table(_TABLE)), dtype={'mean': str})
        # By Python's float: how exactly pandas reads hangs on its version.
        read['mean'] = read['mean'].astype(object).map(float)
        pd.testing.assert_frame_equal(read, _FRAME, check_exact=True)

    def test_sources_are_told_once_each(self):
        for render in (markdown.table, html.table):
            text = unescape(render(_TABLE))
            self.assertIn('Where these numbers come from', text)
            self.assertIn('a.csv lines 1–3', text)
        page = html.table(_TABLE)
        sources = re.findall('<li>(.*?)</li>', page)
        (cell,) = re.findall(r'data-from=(\d+)>0\.500', page)
        self.assertEqual(sources[int(cell)], 'a!')
        self.assertLen(set(sources), len(sources))

    def test_a_large_table_is_shown_in_part_and_says_so(self):
        with mock.patch.object(section, 'MOST_ROWS', 2):
            shown = {name: render(_TABLE) for name, render in _RENDERERS.items()}
        for name, text in shown.items():
            with self.subTest(name):
                wanted = 'The first 2 of 4 rows; tables/errors.csv has all of them.'
                self.assertEqual(wanted in text, name != 'csv')
                self.assertEqual('javascript' in text, name == 'csv')

    def test_in_markdown_an_entry_is_neither_element_nor_link_nor_second_cell(self):
        lines = [line for line in markdown.table(_TABLE).splitlines() if line.startswith('| ')]
        self.assertStartsWith(lines[3], r'| \<img src=x onerror=y> | ')
        self.assertStartsWith(lines[4], r'| [a]\(javascript:b) | ')
        self.assertStartsWith(lines[5], r'| a\|b c | ')
        self.assertIn('| < 0.001 |', lines[3])
        self.assertStartsWith(markdown.table(_TABLE), r'# Errors of \<all>')

    def test_in_html_everything_is_text_and_sorts_by_number(self):
        text = html.table(_TABLE)
        self.assertNotRegex(text, r'<img|<script')
        keys = re.findall(r'<td data-key="([^"]*)"[^>]*>\d', text)
        self.assertEqual([float(key) for key in keys], [0.333333333, 0.5, 2.0, 1e-12, 0.04])

    def test_a_terminal_has_columns_that_line_up_and_none_without_values(self):
        head, rule, *rows, note = terminal.table(_TABLE).splitlines()
        self.assertRegex(head, r'^trained on +MSE +p$')
        self.assertEqual({len(head), len(rule)}, {max(map(len, rows))})
        self.assertEqual(note, 'Mean ± standard deviation.')
        self.assertTrue(all(line.isprintable() for line in rows))

    def test_a_summary_has_25_lines_at_most_whatever_there_is_to_say(self):
        for count in (0, 3, 24, 25, 1000):
            sentences = [f'Sentence {i} ' + 'x ' * (i % 3 * 60) for i in range(count)]
            lines = terminal.summary(sentences, 'Report: a').splitlines()
            with self.subTest(count):
                self.assertLessEqual(len(lines), 25)
                self.assertEqual(lines[-1], 'Report: a')
                self.assertLessEqual(max(map(len, lines)), terminal.WIDTH)
                told = sum(line.startswith('Sentence') for line in lines)
                left = re.search(r'^(\d+|\d,\d+) more such', '\n'.join(lines), re.MULTILINE)
                self.assertEqual(told + (int(left[1].replace(',', '')) if left else 0), count)


if __name__ == '__main__':
    absltest.main()

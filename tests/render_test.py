"""One table in four formats: the same values, and nothing that a label could do."""

import io
import re
from html import unescape
from unittest import mock

import numpy as np
import pandas as pd
from absl.testing import absltest

from imbreg_jax.analysis import formats, section
from imbreg_jax.analysis.render import csv, html, markdown, notebook, terminal
from imbreg_jax.analysis.section import Column, Table
from imbreg_jax.analysis.summary import Answer, Summary

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
            shown = Summary(_TABLE, [*map(Answer, sentences)]) if count else Summary(None, [])
            lines = terminal.summary(shown, 'Report: a').splitlines()
            with self.subTest(count):
                self.assertLessEqual(len(lines), 25)
                self.assertEqual(lines[-1], 'Report: a')
                self.assertLessEqual(max(map(len, lines)), terminal.WIDTH)
                told = sum(line.startswith('Sentence') for line in lines)
                left = re.search(r'^(\d+|\d,\d+) more such', '\n'.join(lines), re.MULTILINE)
                self.assertEqual(told + (int(left[1].replace(',', '')) if left else 0), count)

    def test_a_verdict_stands_before_its_sentence_in_its_colour_on_request(self):
        answers = [
            Answer('It is so.', [('', 'stands')]),
            Answer('It is more.', [('MSE', 'fails'), ('MAPE', 'same within the margin')]),
            Answer('Nobody asked.'),
        ]
        plain = terminal.summary(Summary(None, answers), 'end')
        self.assertEqual(
            plain.splitlines(),
            [
                '[stands] It is so.',
                '[MSE fails; MAPE same within the margin] It is more.',
                'Nobody asked.',
                'end',
            ],
        )
        coloured = terminal.summary(Summary(None, answers), 'end', colour=True)
        self.assertStartsWith(coloured, '[\x1b[32mstands\x1b[0m] It is so.')
        self.assertEqual(coloured.count('\x1b[0m'), 3)
        self.assertEqual(re.sub(r'\x1b\[\d+m', '', coloured), plain)

    def test_in_a_narrow_terminal_labels_shrink_and_the_last_columns_go(self):
        table = Table('t', 'T', _FRAME, [*_TABLE.columns[:3], Column('source', 'from')])
        whole = terminal.table(table).splitlines()
        for width in (60, 45):
            lines = terminal.table(table, width=width).splitlines()
            with self.subTest(width):
                self.assertLessEqual(max(map(len, lines)), width)
                self.assertLen(lines, len(whole))
                self.assertIn('0.333 ± 0.100', lines[2])
        self.assertNotIn('from', lines[0])

    def test_in_a_notebook_everything_is_text(self):
        shown = Summary(_TABLE, [Answer('<b>', [('<i>', 'stands')])])
        text = notebook.summary('<u>', shown, ['<s>'])
        self.assertNotRegex(text, r'<(img|script|u>|s>|i>|b>(<|$))')
        self.assertIn('color: #2e8b57">stands</b> &lt;b&gt;', text)
        self.assertIn('0.333 ± 0.100', text)


if __name__ == '__main__':
    absltest.main()

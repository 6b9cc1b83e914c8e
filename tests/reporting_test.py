"""The report is whole, self-contained, traceable, and works in a real browser."""

import html
import pathlib
import re
import shutil
import tempfile
from unittest import mock
from xml.etree import ElementTree

import pandas as pd
from absl.testing import absltest

import browser
import simulated_study
from imbreg_jax import analysis
from imbreg_jax.analysis import canvas, section

# They take most of a report's time, and not every test looks at one.
_NO_FIGURES = mock.patch.object(
    canvas, 'finish', lambda *parts: canvas.Finished(*parts[:3], '<svg></svg>', b'')
)

# Clicks and looks.
_PROBE = """
  const table = document.getElementById('results-table');
  const column = () => Array.from(table.tBodies[0].rows, (r) => Number(r.cells[3].dataset.key));
  const before = column();
  const button = table.tHead.rows[0].cells[3].querySelector('button');
  button.click(); const up = column(); const aria = button.parentNode.getAttribute('aria-sort');
  button.click(); const down = column();
  table.tBodies[0].rows[0].cells[3].click();
  const boxes = Array.from(document.querySelectorAll('figure svg'),
    (s) => s.getBoundingClientRect());
  return {errors, before, up, down, aria,
    source: document.getElementById('source').textContent,
    drawn: boxes.filter((b) => b.width > 100 && b.height > 100).length,
    wide: document.documentElement.scrollWidth - document.documentElement.clientWidth};"""


class ReportTest(absltest.TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        # A folder of its own: with several test processes each one sets this class up.
        root = pathlib.Path(tempfile.mkdtemp())
        cls.addClassCleanup(shutil.rmtree, root, ignore_errors=True)
        cls.root = root
        workdir = simulated_study.write(root / 'paper', images=60)
        cls.report = analysis.build([workdir], workdir)
        cls.page = cls.report.path.read_text(encoding='utf-8')

    def test_every_table_and_figure_is_there_in_every_format_and_no_temporary_file(self):
        out = self.report.path.parent
        for content in self.report.contents.values():
            for table in content.tables:
                self.assertTrue((out / f'tables/{table.name}.md').is_file())
                self.assertTrue((out / f'tables/{table.name}.csv').is_file())
                self.assertIn(f'id="{table.name.replace("_", "-")}-table"', self.page)
            for figure in content.figures:
                ElementTree.parse(out / f'figures/{figure.name}.svg')
                png = (out / f'figures/{figure.name}.png').read_bytes()
                self.assertEqual(png[:8], b'\x89PNG\r\n\x1a\n')
                self.assertIn(f'<figure id="{figure.name}">', self.page)
        self.assertEmpty(list(out.rglob('.*')))

    def test_ids_of_one_page_never_collide_and_nothing_is_fetched(self):
        ids = re.findall(r'\bid="([^"]+)"', self.page)
        self.assertLen(set(ids), len(ids))
        used = re.findall(r'url\(#([^)]+)\)|href="#([^"]+)"', self.page)
        self.assertContainsSubset({a or b for a, b in used}, set(ids))

    def test_page_needs_nothing_from_elsewhere(self):
        self.assertEmpty(re.findall(r'(?:src|href)="(?!#|data:)[^"]*"', self.page))
        self.assertNotIn('@import', self.page)
        self.assertIn("default-src 'none'", self.page)

    def test_the_summary_and_the_page_begin_with_what_each_section_says(self):
        text = self.report.terminal_summary()
        self.assertLessEqual(len(text.splitlines()), 25)
        self.assertIn(str(self.report.path), text)
        page = html.unescape(self.page).replace('\u00a0', ' ')
        for content in self.report.contents.values():
            self.assertIn(content.headline[:60], text)
            self.assertEqual(page.count(f'>{content.headline}<'), 1)

    def test_inconsistencies_and_limits_are_said(self):
        text = html.unescape(self.page).replace('\u00a0', ' ')
        self.assertIn("Table 2's percentage on U(1, 5) repeats Table 1's row", text)
        self.assertIn("The settings are not the paper's", text)  # 60 test images.

    def test_a_section_of_ones_own_is_one_value(self):
        """As in ARCHITECTURE.md."""
        mine = analysis.Section(
            'mine',
            'Mine',
            lambda study: True,
            lambda study: analysis.Content(
                f'{len(study.runs)} runs.',
                [
                    analysis.Table(
                        'mine', 'T', pd.DataFrame({'n': [1]}), [analysis.Column('n', 'N')]
                    )
                ],
            ),
        )
        report = analysis.build([self.report.path.parent], self.root / 'own', sections=[mine])
        self.assertEqual(report.terminal_summary(), f'30 runs.\nReport: {report.path}')
        names = {p.name for p in (self.root / 'own').rglob('*') if p.is_file()}
        self.assertEqual(names, {'mine.csv', 'mine.md', 'report.html', 'report_files.json'})
        with self.assertRaisesRegex(ValueError, "two of the report have the section name 'mine'"):
            analysis.build([self.report.path.parent], self.root / 'own', sections=[mine, mine])

    def test_single_condition_workdirs_give_the_same_report(self):
        workdirs = [
            simulated_study.write(self.root / name, {name: settings}, images=60)
            for name, settings in simulated_study.PAPER_CONDITIONS.items()
        ]
        merged = analysis.build(workdirs, self.root / 'merged')
        headlines = [
            [content.headline for name, content in report.contents.items() if name != 'provenance']
            for report in (merged, self.report)
        ]
        self.assertEqual(*headlines)
        for path in sorted((self.report.path.parent / 'tables').glob('*.csv')):
            with self.subTest(path.name):
                if path.stem == 'provenance':
                    continue
                ours = pd.read_csv(path).drop(columns='source', errors='ignore')
                theirs = pd.read_csv(self.root / 'merged/tables' / path.name)
                pd.testing.assert_frame_equal(ours, theirs.drop(columns='source', errors='ignore'))
        for path in sorted((self.report.path.parent / 'figures').glob('*.svg')):
            self.assertEqual(
                path.read_bytes(), (self.root / 'merged/figures' / path.name).read_bytes()
            )

    def test_one_repeat_of_one_condition_says_what_is_undefined(self):
        workdir = simulated_study.write(
            self.root / 'one',
            {'u1_10': {}},
            repeats=1,
            images=60,
            test_distributions=('u1_10', 'triangular(1, 5, 10)'),
        )
        page = html.unescape(analysis.build([workdir], workdir).path.read_text(encoding='utf-8'))
        self.assertIn('standard deviations, intervals and tests are undefined', page)
        self.assertIn('± n/a', page)
        self.assertNotIn('Conditions compared', page)

    def test_variants_say_which_printed_tables_rule_them_out_and_what_diverged(self):
        conditions = {'paper': {}, 'relu_pool': {'model': {'order': 'relu_pool'}}}
        networks = {'paper': (0.9, 0.006, 0.03), 'relu_pool': (0.7, 0.006, 0.03)}
        workdir = simulated_study.write(
            self.root / 'variants',
            conditions,
            networks,
            images=60,
            repeats=4,
            diverged=[('relu_pool', 2)],
            worse=[('paper', 1)],
        )
        page = html.unescape(analysis.build([workdir], workdir).path.read_text(encoding='utf-8'))
        page = page.replace('\u00a0', ' ')
        self.assertIn('relu_pool [U(1, 10)]: ruled out by Table 1, 4, 5.', page)
        self.assertIn('1 diverged and left out, repeat 2 (epoch 3)', page)
        self.assertEqual(page.count('ended far above'), 1)
        self.assertRegex(
            page,
            r'1 ended far above where training began and count all the same, repeat 1 '
            r'\(validation MSE 100\.0, 20\.\d+ before\)',
        )
        self.assertIn('model.order = relu_pool', page)

    def test_a_study_in_which_everything_diverged_still_has_a_report(self):
        law = 'triangular(1, 5, 10)'
        workdir = simulated_study.write(
            self.root / 'lost',
            {'tri': {'train_distribution': law}},
            {'tri': (0.9, 0.01, 0.03)},
            test_distributions=(law,),
            repeats=2,
            images=60,
            diverged=[('tri', 0), ('tri', 1)],
        )
        report = analysis.build([workdir], workdir)
        self.assertIn('No repeat of any condition counts.', report.terminal_summary())

    def test_of_a_large_study_the_page_shows_a_part_and_the_files_hold_all(self):
        names = [f'rate_{i}' for i in range(5)]
        conditions = {
            name: {'model': {'dense_dropout_rate': 0.1 * (i + 1)}} for i, name in enumerate(names)
        }
        workdir = simulated_study.write(
            self.root / 'large',
            conditions,
            dict.fromkeys(names, (2.9, 0.006, 0.03)),
            images=60,
            repeats=2,
            test_distributions=('u1_10',),
            diverged=[(name, 1) for name in names[1:]],
        )
        with (
            _NO_FIGURES,
            mock.patch.object(section, 'MOST_ROWS', 3),
            mock.patch.object(section, 'MOST_NAMED', 2),
        ):
            report = analysis.build([workdir], workdir)
        page = html.unescape(report.path.read_text(encoding='utf-8')).replace('\u00a0', ' ')
        tables = {path.stem: pd.read_csv(path) for path in (workdir / 'tables').glob('*.csv')}
        for name, rows in (('results', 11), ('comparisons', 16), ('evidence', 20)):
            with self.subTest(name):
                self.assertLen(tables[name], rows)
                self.assertIn(f'The first 3 of {rows} rows; tables/{name}.csv has all', page)
                shown = (workdir / f'tables/{name}.md').read_text(encoding='utf-8')
                self.assertIn(f'The first 3 of {rows} rows', shown)
        self.assertIn('and 3 more conditions)', page)
        self.assertIn('Networks of 2 more conditions diverged', page)

    def test_conditions_without_a_partner_are_named_and_not_compared(self):
        conditions = {
            'u1_10': {},
            'other': {'train_distribution': 'u1_5', 'model': {'order': 'relu_pool'}},
        }
        workdir = simulated_study.write(
            self.root / 'lone',
            conditions,
            dict.fromkeys(conditions, (0.9, 0.006, 0.03)),
            images=60,
            repeats=2,
            test_distributions=('u1_10',),
        )
        with _NO_FIGURES:
            report = analysis.build([workdir], workdir)
        page = html.unescape(report.path.read_text(encoding='utf-8'))
        self.assertIn('Without a partner: other [U(1,\u00a05)].', page)
        self.assertNotIn('held against, predictor', page)
        self.assertFalse((workdir / 'tables/comparisons.csv').exists())

    def test_a_folder_used_again_keeps_nothing_of_the_study_before(self):
        out = self.root / 'again'
        first, second = (
            simulated_study.write(
                self.root / f'again_{name}',
                {name: {'train_distribution': name}},
                images=60,
                repeats=2,
                test_distributions=(name,),
            )
            for name in ('u1_10', 'u1_5')
        )
        fresh = self.root / 'fresh'
        with _NO_FIGURES:
            analysis.build([first], out)
            (out / 'notes.txt').write_text('mine')
            analysis.build([second], out)
            analysis.build([second], fresh)
        names = [
            {str(p.relative_to(folder)) for p in folder.rglob('*') if p.is_file()}
            for folder in (out, fresh)
        ]
        self.assertEqual(names[0], names[1] | {'notes.txt'})

    def test_a_folder_of_somebody_else_is_refused(self):
        theirs = self.root / 'theirs'
        (theirs / 'tables').mkdir(parents=True)
        (theirs / 'tables/results.csv').write_text('theirs')
        with self.assertRaisesRegex(analysis.AnalysisError, 'name a new or an empty folder'):
            analysis.build([self.report.path.parent], theirs)
        self.assertEqual([p.name for p in theirs.rglob('*')], ['tables', 'results.csv'])

    @absltest.skipIf(browser.BROWSER is None, 'skipped: no Chromium or Chrome on this machine')
    def test_page_works_in_a_browser(self):
        page = self.root / 'browsed' / 'report.html'
        page.parent.mkdir()
        page.write_text(self.page, encoding='utf-8')
        for width in (375, 1200):
            with self.subTest(width=width):
                found = browser.probe(page, _PROBE, width)
                self.assertEmpty(found['errors'] + found['console'])
                self.assertEqual(found['drawn'], len(re.findall('<figure ', self.page)))
                self.assertGreaterEqual(found['drawn'], 13)
                self.assertNotEqual(found['before'], found['up'])
                self.assertEqual(found['up'], sorted(found['before']))
                self.assertEqual(found['down'], sorted(found['before'], reverse=True))
                self.assertEqual(found['aria'], 'ascending')
                self.assertIn('results.csv lines', found['source'])
                # Tables scroll by themselves, the page does not.
                self.assertLessEqual(found['wide'], 0)


if __name__ == '__main__':
    absltest.main()

"""The report is whole, self-contained, traceable, and works in a real browser."""

import atexit
import csv
import functools
import html
import pathlib
import re
import shutil
import tempfile
from unittest import mock
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from absl.testing import absltest

import browser
import simulated_study
from imbreg_jax import analysis
from imbreg_jax.analysis import canvas, section

# They take most of a report's time, and not every test looks at one.
_NO_FIGURES = mock.patch.object(
    canvas, 'finish', lambda *parts: canvas.Finished(*parts[:3], '<svg></svg>', b'')
)


_WIDTHS = (390, 1280, 1920)


@functools.cache
def _report() -> analysis.Report:
    """That of a study like the paper's; it takes its time, and many tests look at it."""
    root = pathlib.Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, root, ignore_errors=True)
    workdir = simulated_study.write(root / 'paper', images=60)
    return analysis.build([workdir], workdir)


class ReportTest(absltest.TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        # A folder of its own: with several test processes each one sets this class up.
        cls.root = pathlib.Path(tempfile.mkdtemp())
        cls.addClassCleanup(shutil.rmtree, cls.root, ignore_errors=True)
        cls.report = _report()
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
        short = self.report.terminal_summary()
        self.assertLessEqual(len(short.splitlines()), 25)
        self.assertIn(f'Report: {self.report.path}', short)
        text = ' '.join(self.report.terminal_summary(verbose=True).split())
        page = html.unescape(self.page).replace('\u00a0', ' ')
        for content in self.report.contents.values():
            self.assertIn(' '.join(content.headline.split())[:60], text)
            self.assertEqual(page.count(f'>{content.headline}<'), 1)

    def test_inconsistencies_and_limits_are_said(self):
        text = html.unescape(self.page).replace('\u00a0', ' ')
        self.assertIn("Table 2's percentage on U(1, 5) repeats Table 1's row", text)
        self.assertIn("The settings are not the paper's", text)  # 60 test images.

    def test_a_section_of_ones_own_is_one_value(self):
        """As in docs/howto/adding.md."""
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
        self.assertStartsWith(report.terminal_summary(), f'30 runs.\nReport: {report.path} ')
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
        self.assertRegex(merged.path.read_text('utf-8'), '<h1>[^<]{40,100} and 2 more</h1>')
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
            images=5000,
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
        self.assertIn('No repeat of any condition counts.', report.terminal_summary(verbose=True))

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

    @pytest.mark.slow
    def test_the_page_of_a_thousand_runs_is_no_larger_than_a_browser_likes(self):
        conditions = {
            f'{law}-{i}': {'train_distribution': law, 'model': {'dense_dropout_rate': i / 40}}
            for law in simulated_study.PAPER_CONDITIONS
            for i in range(34)
        }
        networks = {
            name: simulated_study.PAPER_NETWORKS[condition['train_distribution']]
            for name, condition in conditions.items()
        }
        workdir = simulated_study.write(self.root / 'thousand', conditions, networks, images=60)
        report = analysis.build([workdir], workdir)
        self.assertGreater(len(report.study.runs), 1000)
        self.assertLess(report.path.stat().st_size, 5e6)

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
class BrowsingTest(absltest.TestCase):
    @classmethod
    @functools.cache
    def _seen(cls):
        """What is seen at each width, folded and unfolded, and in the widest all that is done."""
        axe = browser.axe()
        script = f"""
          {browser.LOOKING}
          const audit = width === {_WIDTHS[1]} && window.axe ? await axe.run() : {{violations: []}};
          const seen = [look()];
          all('details').forEach((details) => {{ details.open = true; }});
          seen.push(look());
          const done = width === {_WIDTHS[-1]} ? await act() : null;
          const faults = audit.violations.map((v) => [v.impact, v.id, v.nodes.map((n) => n.html)]);
          return {{errors, seen, done, faults}};"""
        return browser.probe(_report().path, script, _WIDTHS, axe)

    def _done(self):
        return self._seen()[_WIDTHS[-1]]['done']

    def test_nothing_is_cut_off_and_no_text_lies_over_another(self):
        for width, found in self._seen().items():
            self.assertEmpty(found['errors'] + found['console'])
            for folded, seen in zip(('folded', 'unfolded'), found['seen'], strict=True):
                with self.subTest(width=width, folded=folded):
                    # Tables scroll by themselves, the page does not.
                    self.assertEqual(
                        seen, {'wide': min(seen['wide'], 0), 'beyond': [], 'over': [], 'cut': []}
                    )

    def test_no_serious_fault_keeps_people_from_using_it(self):
        if browser.axe() is None:
            self.skipTest('axe-core is not here and cannot be fetched')
        faults = self._seen()[_WIDTHS[1]]['faults']
        self.assertEmpty([fault for fault in faults if fault[0] in ('serious', 'critical')])

    def test_tables_sort_filter_and_say_where_a_number_is_from(self):
        done = self._done()
        self.assertNotEqual(done['before'], done['up'])
        self.assertEqual(done['up'], sorted(done['before']))
        self.assertEqual(done['down'], sorted(done['before'], reverse=True))
        self.assertEqual(done['aria'], 'ascending')
        clicked, is_next, stepped = done['from']
        self.assertIn('results.csv lines', clicked)
        self.assertTrue(is_next, 'an arrow key goes to the next cell')
        self.assertNotEqual(clicked, stepped)
        self.assertLen(done['left'], 5)  # Trained or tested on it, of nine.
        self.assertEqual(done['rows'], '5 of 21 rows')

    def test_the_pointer_is_told_run_repeat_and_value(self):
        tips, rows = self._done()['tips'], self._errors()
        value = rows[rows['repeat'] == 0]['value'].iloc[0]
        self.assertEqual(
            tips['repeat'], ['U(1, 10)', 'repeat 0', f'MSE (unit squared): {value:.4g}']
        )
        self.assertRegex(
            ' / '.join(tips['interval']),
            r'^U\(1, 5\) → U\(1, 10\) / ratio of MSE: [\d.]+ / interval: [\d.]+ to [\d.]+$',
        )
        self.assertRegex(' / '.join(tips['bar']), r'common scale factor / U\(1, 10\) → .* / share')

    def _errors(self) -> pd.DataFrame:
        rows = pd.read_csv(_report().path.parent / 'results.csv').fillna('')
        first = (rows['test_distribution'] == 'u1_10') & (rows['condition'] == 'u1_10')
        return rows[first & (rows['predictor'] == 'cnn') & (rows['metric'] == 'mse')]

    def test_conditions_and_repeats_switch_in_all_figures_at_once(self):
        done = self._done()
        for known, there in done['lengths']:
            self.assertEqual(known, there)
        every, without, fewer, again = done['counts']
        self.assertBetween(without, 0.6 * every, 0.72 * every)  # A third is of that condition.
        self.assertLess(fewer, without)
        self.assertEqual(again, every)

    def test_an_axis_becomes_logarithmic_and_linear_again(self):
        done = self._done()
        self.assertEqual(done['names'], ['x logarithmic', 'x linear'])
        (low, high), (left, right) = done['ends'], done['sides']
        shares = np.log(np.array(done['values']) / low) / np.log(high / low)
        expected = left + (right - left) * shares
        # Places are written to a hundredth of a point.
        for place, wanted in zip(done['logarithmic'], expected, strict=True):
            self.assertAlmostEqual(place, wanted, delta=0.05)
        self.assertNotEqual(done['linear'], done['logarithmic'])
        self.assertEqual(done['linear'], done['back'])
        self.assertGreaterEqual(len(done['ticks']), 2)
        self.assertEqual(done['ticks'], sorted(done['ticks']))

    def test_a_figures_data_are_the_values_of_the_results(self):
        rows = list(csv.DictReader(self._done()['data'].splitlines()))
        self.assertEqual(rows[0]['x_axis'], 'MSE (unit squared)')
        own = [r for r in rows if r['condition'] == 'U(1, 10)' and r['repeat']]
        self.assertEqual(
            {int(r['repeat']): r['x'] for r in own},
            {int(r): f'{v:.6g}' for r, v in self._errors()[['repeat', 'value']].to_numpy()},
        )

    def test_a_link_to_what_is_folded_unfolds_it(self):
        self.assertTrue(self._done()['revealed'])

    @pytest.mark.slow
    def test_unfolded_it_has_no_serious_fault_either(self):
        if browser.axe() is None:
            self.skipTest('axe-core is not here and cannot be fetched')
        script = """
          all('details').forEach((details) => { details.open = true; });
          const {violations} = await axe.run();
          return {faults: violations.map((v) => [v.impact, v.id, v.nodes.map((n) => n.html)])};"""
        found = browser.probe(_report().path, script, [1280], browser.axe())
        self.assertEmpty([f for f in found[1280]['faults'] if f[0] in ('serious', 'critical')])

    def test_without_its_script_all_of_it_is_there_to_read(self):
        text = _report().path.read_text(encoding='utf-8')
        markup = text[text.index('<body>') : text.rindex('<script>')]
        self.assertEmpty(re.findall('id="tools"|class="buttons"|<[^>]* hidden[ >]|<input', markup))
        self.assertEqual(markup.count('<figure '), self._done()['figures'])
        self.assertIn('copy citation', self._done()['tools'])
        self.assertLen(re.findall('@software{imbreg_jax', markup), 1)


if __name__ == '__main__':
    absltest.main()

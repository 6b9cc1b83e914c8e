"""Tests of results/: what README.md and docs/ say of the committed values, they say."""

import collections
import functools
import gzip
import json
import pathlib
import re
from collections.abc import Callable
from typing import ClassVar

import numpy as np
import pandas as pd
from absl.testing import absltest
from scipy import stats

import documents
from imbreg_jax.analysis import contrasts, leaderboard, loading, places, reader, statistics
from imbreg_jax.analysis.finished import FinishedStudy, Run
from imbreg_jax.analysis.formats import interval, number
from imbreg_jax.analysis.leaderboard import BETTER, SAME, UNDECIDED, WORSE
from imbreg_jax.analysis.paper import claims
from imbreg_jax.analysis.render import markdown
from imbreg_jax.analysis.section import Table
from imbreg_jax.analysis.sections import dose_response, questions
from imbreg_jax.analysis.sections import leaderboard as leaderboard_section
from imbreg_jax.data.tasks import TASKS

_ROOT = documents.ROOT
_TEXT = ' '.join(documents.TEXT.split())
# The tasks of `configs/remedies.py`, and those whose chosen rates were trained to the end.
_REMEDIED = ('std', 'disc_radius', 'needle_angle')
_RATED = ('std', 'disc_radius', 'needle_angle')
_KEY = ['condition', 'predictor', 'repeat', 'test_distribution', 'metric']


def _study(*folders: pathlib.Path) -> FinishedStudy:
    """A study as its config and results alone tell it, without the arrays of its runs.

    One that was trained in parts has a folder for each.
    """
    parts = []
    for folder in folders:
        whole = (folder / 'config.json').exists()
        parts += [folder] if whole else sorted(folder.glob('*/'))
    return loading.joined([p.name for p in parts], [_part(p) for p in parts], parts)


@functools.cache
def _remedies(task: str) -> FinishedStudy:
    """What `configs/remedies.py` trained of a task."""
    return _study(_ROOT / 'results' / f'remedies-{task}')


@functools.cache
def _tuned(task: str) -> FinishedStudy:
    """The same, and at other learning rates, of which each has the one that is chosen for it."""
    return _study(*(_ROOT / 'results' / f'{kind}-{task}' for kind in ('remedies', 'remedy_rates')))


def _part(folder: pathlib.Path) -> tuple:
    path = folder / 'results.csv'
    # Large ones are kept compressed.
    packed = folder / 'results.csv.gz'
    content = path.read_bytes() if path.exists() else gzip.decompress(packed.read_bytes())
    rows = reader.result_rows(path, content)
    header = json.loads((folder / 'config.json').read_text('utf-8'))
    trained = rows[rows['predictor'] == 'cnn'][['condition', 'repeat']].drop_duplicates()
    nothing = Run({}, {}, {}, *[np.zeros(0)] * 5, calibration_factor=np.nan, moments={})
    runs = {(str(name), int(repeat)): nothing for name, repeat in trained.to_numpy()}
    epochs = pd.DataFrame(columns=['condition', 'repeat', 'epoch', 'source', 'line'])
    return header, rows, epochs, runs


def _values(study: str) -> pd.Series:
    rows = pd.read_csv(_ROOT / 'results' / study / 'results.csv', keep_default_na=False)
    rows['condition'] = rows['condition'].str.removesuffix('-one_pass')
    rows = rows[rows['predictor'].str.startswith('cnn') & rows['metric'].isin(['mse', 'mape'])]
    return rows.set_index(_KEY)['value'].astype(float)


class OnePassTest(absltest.TestCase):
    def test_is_beside_fifteen_what_the_text_says(self):
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
            self.assertTrue(sentence in _TEXT, sentence)


class BudgetsTest(absltest.TestCase):
    def test_a_tasks_rate_is_that_of_the_least_validation_error_of_the_worse_repeat(self):
        path = _ROOT / 'results' / 'budgets' / 'metrics.jsonl'
        rows = pd.DataFrame(map(json.loads, path.read_text('utf-8').splitlines()))
        names = rows['condition'].str.rsplit('-learning_rate_', n=1, expand=True)
        rows = rows.assign(task=names[0], rate=names[1].astype(float))
        last = rows[rows['epoch'] == rows.groupby('task')['epoch'].transform('max')]
        worse = last.groupby(['task', 'rate'])['validation_mse'].max().unstack()
        self.assertCountEqual(worse.index, TASKS.keys() - {'std'})
        self.assertTrue(np.isfinite(worse).all(axis=None))
        # Where a network stopped learning it answers a constant, and errs by the law's variance.
        self.assertEqual((worse > 6).sum().to_dict(), {3e-4: 0, 1e-3: 0, 3e-3: 0, 1e-2: 7})
        rates = worse.drop(columns=1e-2).idxmin(axis=1)
        self.assertEqual(rates.to_dict(), {t: TASKS[t].budget.learning_rate for t in rates.index})


class MapTest(absltest.TestCase):
    def test_the_text_says_what_symmetry_goes_with_which_cost(self):
        study = _study(_ROOT / 'results' / 'imbalance_by_task')
        found = dose_response.SECTION.build(study).tables[0].frame
        self.assertEqual(len(set(found['group'])), len(TASKS))
        rows = found[(found['metric'] == 'mse') & (found['group'] != 'mean_absolute_deviation')]
        degree = rows['group'].map(lambda name: TASKS[name].degree)
        of_pixels = rows[(degree == 1) & (rows['symmetry'] == 'a factor')]
        self.assertEqual(
            sorted(set(of_pixels['group'])),
            ['interquartile_range', 'maximum', 'ninth_decile', 'std'],
        )
        same = found['group'].isin(of_pixels['group']) & (found['metric'] == 'mape')
        percent = found[same]['ratio']
        squared = rows[degree == 2]
        drawn = rows[degree.isna()]
        for part, text in (
            (
                of_pixels,
                f'at most {of_pixels["ratio"].max():.2f} times the MSE, with intervals that reach '
                f'{of_pixels["high"].max():.2f}, but up to {percent.max():.2f} times the MAPE',
            ),
            (squared, f'up to {squared["ratio"].max():.1f} times the MSE'),
            (drawn, f'up to {drawn["ratio"].max():.0f} times'),
        ):
            self.assertNotEmpty(part)
            self.assertTrue(text in _TEXT, text)

        blobs = rows[rows['group'] == 'blob_count'].set_index('law')
        told = [
            f'{law}{costs} {row["ratio"]:.1f} times, {row["low"]:.1f} to {row["high"]:.1f}'
            for law, costs in (('N(5.5, 1)', ' costs'), ('U(1, 5)', ''))
            for row in [blobs.loc[law]]
        ]
        self.assertTrue(', and '.join(told) in _TEXT, told)
        self.assertGreater(blobs['low']['N(5.5, 1)'], blobs['high']['U(1, 5)'])

    def test_the_mean_is_told_far_better_than_all_else(self):
        study = _study(_ROOT / 'results' / 'imbalance_by_task')
        errors = {
            name: study.values('cnn', f'{name}-balanced', 'u1_10', 'mse').mean() for name in TASKS
        }
        of_mean = errors.pop('mean')
        self.assertLess(50 * of_mean, min(errors.values()))

    def test_of_one_task_a_network_stopped_learning(self):
        study = _study(_ROOT / 'results' / 'imbalance_by_task')
        stuck = [
            (name, int(repeat))
            for name in study.conditions
            for repeat, error in study.values('cnn', name, 'u1_10', 'r2').items()
            if name.endswith('-balanced') and error < 0.1
        ]
        self.assertEqual([name for name, _ in stuck], ['mean_absolute_deviation-balanced'])


class DecidedTest(absltest.TestCase):
    """The paper's claims, as `paper_decided.py` judges them."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.found = claims.verdicts(_study(_ROOT / 'results' / 'paper_decided'))

    def test_the_text_has_each_verdict_beside_that_of_the_first_record(self):
        record = (_ROOT / 'results' / 'paper' / 'verdicts.md').read_text('utf-8').splitlines()
        first = {cells[0]: cells[2:] for cells in map(_cells, record) if len(cells) == 6}
        columns = [(metric, of) for of in ('cnn', 'cnn_calibrated') for metric in ('mse', 'mape')]
        status = {(v.claim, (v.metric, v.predictor)): v.status for v in self.found}
        lines = documents.TEXT.splitlines()
        for claim in claims.CLAIMS:
            with self.subTest(claim):
                [row] = [_cells(line) for line in lines if line.startswith(f'| {claim}. ')]
                old = first[str(claim)]
                said = [
                    f'{status[claim, column]} ({before})' if (claim, column) in status else ''
                    for column, before in zip(columns, old, strict=True)
                ]
                self.assertEqual(row[1:], said)

    def test_no_claim_about_the_networks_as_they_are_fails_or_is_left_open(self):
        own = [v.status for v in self.found if v.predictor == 'cnn']
        self.assertLen(own, 11)
        self.assertContainsSubset(own, [claims.STANDS, claims.SAME])

    def test_the_text_has_the_ratios_of_the_order_with_their_intervals(self):
        for predictor, metric, parts in (
            ('cnn', 'mse', (1, 0)),
            ('cnn_calibrated', 'mse', (0, 1)),
            ('cnn_calibrated', 'mape', (0,)),
        ):
            [evidence] = [
                v.evidence
                for v in self.found
                if (v.claim, v.predictor, v.metric) == (2, predictor, metric)
            ]
            for part in parts:
                c = evidence[part].comparison
                ratio, low, high = map(number, (c.effect, c.low, c.high))
                with self.subTest(predictor, metric=metric, part=part):
                    said = re.escape(ratio) + '.{0,80}' + re.escape(f'{low} to {high})')
                    self.assertIsNotNone(re.search(said, _TEXT), said)


class RateTest(absltest.TestCase):
    """What `learning_rate.py` says of networks that learn more than the paper's."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.study = _study(_ROOT / 'results' / 'learning_rate')
        cls.found = claims.verdicts(cls.study)

    def test_no_claim_about_the_networks_as_they_are_fails_where_they_have_settled(self):
        low = ('', 'training.learning_rate = 2.25e-06')  # The study's first is the least rate.
        own = [v for v in self.found if v.predictor == 'cnn' and v.metric in ('mse', 'mape')]
        self.assertCountEqual({v.variant for v in own if v.status == claims.FAILS}, low)
        self.assertLen({v.variant for v in own}, 7)

    def test_no_difference_is_shown_where_they_have_settled(self):
        tables = dose_response.SECTION.build(self.study).tables
        [table] = [table.frame for table in tables if table.name == 'dose_response']
        rows = table[(table['metric'] == 'mse') & (table['test_distribution'] == 'u1_10')]
        rows = rows[rows['dial'] == 'training.learning_rate'].dropna(subset='holm_p')
        apart = rows[rows['holm_p'] < 0.05]['value'].astype(float)
        self.assertCountEqual(set(apart), (7.5e-7, 2.25e-6))

    def test_the_text_has_what_calibrated_networks_pay(self):
        for rate, said in (('', '7.5·10⁻⁶'), ('0.000225', '2.25·10⁻⁴'), ('0.00075', '7.5·10⁻⁴')):
            variant = f'training.learning_rate = {rate or "7.5e-06"}'
            ratios = {
                claim: [e.comparison for v in self.found
                        if (v.claim, v.variant, v.predictor, v.metric)
                        == (claim, variant, 'cnn_calibrated', 'mse') for e in v.evidence]
                for claim in (2, 3)
            }  # fmt: skip
            [c] = ratios[3]
            text = (
                re.escape(number(c.effect))
                + '.{0,40}'
                + re.escape(said)
                + '.{0,20}'
                + re.escape(f'{number(c.low)} to {number(c.high)})')
            )
            with self.subTest(said):
                self.assertIsNotNone(re.search(text, _TEXT), text)
            if rate:  # The missing law costs less than the normal one.
                self.assertLess(ratios[2][1].high, 1)

        for rate, mean in ((7.5e-6, '0.045'), (7.5e-5, '0.028'), (2.25e-4, '0.028')):
            name = f'u1_10-learning_rate_{rate}'
            found = self.study.values('cnn_calibrated', name, 'u1_10', 'mse').mean()
            self.assertEqual(f'{found:.3f}', mean)


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip('|').split('|')]


class GalleryTest(absltest.TestCase):
    def test_every_study_has_one_paragraph_with_its_command_date_and_figures(self):
        parts = documents.page('docs/results/index.md').split('\n### ')[1:]
        self.assertNotEmpty(parts)
        for folder in sorted((_ROOT / 'results').iterdir()):
            with self.subTest(folder.name):
                [part] = [part for part in parts if f'results/{folder.name}/' in part]
                self.assertIn('`./launch.sh --config=configs/', part)
                header = folder / 'config.json'
                date = r'\d{4}-\d\d-\d\d'
                if header.exists():
                    date = json.loads(header.read_text('utf-8'))['timing']['started'][:10]
                self.assertRegex(part, rf'minutes,\s{date}\)')
                for figure in folder.glob('*.png'):
                    self.assertIn(f'results/{folder.name}/{figure.name})', _TEXT)


class DialsTest(absltest.TestCase):
    def test_the_text_repeats_what_the_report_says_along_each_dial(self):
        folders = sorted(path.parent for path in (_ROOT / 'results').glob('*/config.json'))
        folders = [folder for folder in folders if 'remed' not in folder.name]
        self.assertNotEmpty(folders)
        for folder in folders:
            study = _study(folder)
            if dose_response.SECTION.applies(study):
                with self.subTest(folder.name):
                    headline = dose_response.SECTION.build(study).headline
                    self.assertTrue(headline in _TEXT.replace('*', ''), headline)


def _assert_rows(test: absltest.TestCase, table: Table) -> None:
    for line in markdown.table(table).splitlines():
        if line.startswith('|'):
            test.assertIn(line, documents.TEXT)


@functools.cache
def _compared(study_of: Callable[[str], FinishedStudy], task: str) -> tuple:
    """Every comparison of MSE with no remedy, and those on U(1, 10) at their best factors."""
    shown = study_of(task)
    found, _ = places.places(shown)
    frame = leaderboard.table(shown, found, {})
    rows = frame[(frame['remedy'] != '') & (frame['metric'] == 'mse')]
    return rows, leaderboard.scaled(shown, found, frame, 'u1_10', 'mse')


def _ratios(rows: pd.DataFrame) -> pd.DataFrame:
    """What is kept of comparisons of MSE, to be looked up."""
    columns = 'law remedy test_distribution ratio low high holm_p verdict neutrality'.split()
    return rows[columns].reset_index(drop=True)


def _log_ratios(study: FinishedStudy) -> dict[str, dict[str, pd.Series]]:
    """Law -> remedy -> logarithms of its MSE on U(1, 10) over that of no remedy, by repeat."""
    found = {}
    for place in places.places(study)[0]:
        logs = {
            entry.remedy: np.log(study.values('cnn', entry.condition, 'u1_10', 'mse'))
            for entry in place.entries
        }
        base = logs.pop('')
        found[place.law] = {remedy: (own - base).dropna() for remedy, own in logs.items()}
    return found


def _shown_again(task: str) -> tuple[int, int]:
    """How many gains in MSE on U(1, 10) are shown without the first two repeats, of how many."""
    study = _tuned(task)
    frame, _ = _compared(_tuned, task)
    frame = frame[frame['test_distribution'] == 'u1_10'].set_index(['law', 'remedy'])
    again, gains = 0, 0
    for law, logs in _log_ratios(study).items():
        fresh = {remedy: ratios.loc[2:] for remedy, ratios in logs.items()}
        p = [stats.ttest_1samp(ratios, 0).pvalue for ratios in fresh.values()]
        shown = dict(zip(fresh, statistics.holm(p) < 0.05, strict=True))
        for remedy, ratios in fresh.items():
            if frame.loc[(law, remedy), 'verdict'] == BETTER:
                gains += 1
                again += shown[remedy] and ratios.mean() < 0
    return again, gains


class RemediesTest(absltest.TestCase):
    def test_the_text_repeats_what_the_report_says_of_remedies(self):
        for study, tasks in ((_remedies, _REMEDIED), (_tuned, _RATED)):
            for task in tasks:
                self._assert_told(study(task), f'{study.__name__} {task}')

    def _assert_told(self, study, which):
        for section in (leaderboard_section.SECTION, *questions.SECTIONS):
            # What is averaged are predictions, which results/ has not.
            if section.name == 'remedies-averaged' or not section.applies(study):
                continue
            with self.subTest(f'{which}: {section.name}'):
                content = section.build(study)
                self.assertTrue(content.headline in _TEXT, content.headline)
                for table in content.tables:
                    if table.name.startswith('leaderboard_answers'):
                        _assert_rows(self, table)
                        self.assertIn('once every network’s predictions', content.notes[0])
                # What is left of gains at the best factor, how often a choice fell on an end and
                # both choices agree, and that something is not trained to the end.
                wanted = r'Of [\d,]+ (ratios|choices) .*|Both choose .*|Not to be read yet: .*'
                for told in filter(None, (re.search(wanted, note) for note in content.notes)):
                    self.assertTrue(told.group() in _TEXT, told.group())

    def test_the_readme_has_each_tasks_answer_under_each_law(self):
        cells: dict[str, list[str]] = {}
        for task in _REMEDIED:
            study = _remedies(task)
            labels = {c.train.spec: c.train.label for c in study.conditions.values()}
            tables = {
                table.name: table for table in leaderboard_section.SECTION.build(study).tables
            }
            for row in tables['leaderboard_answers'].frame.to_dict('records'):
                if row['test_distribution'] == 'u1_10':
                    cells.setdefault(labels[row['law']], []).append(self._cell(row))
        self.assertLen(cells, 4)
        for law, told in cells.items():
            self.assertIn(f'| {law} | {" | ".join(told)} |', documents.page('README.md'))

    def test_gains_at_chosen_rates_do_not_stand_on_the_repeats_that_chose(self):
        for task in _RATED:
            told = (
                'Without the two repeats that chose, {} of these {} gains are shown again.'.format(
                    *_shown_again(task)
                )
            )
            self.assertTrue(told in _TEXT, f'{task}: {told}')

    def _cell(self, row):
        harm = f'{row["worse"]} harm'
        if not row['better']:
            return f'none of {row["compared"]}, {harm}'
        name = row['condition'].rpartition('-')[2]
        slight = ', by less than the margin' if row['slight'] == row['better'] else ''
        return (
            f'{row["better"]} of {row["compared"]}{slight}, {harm}; {name}: {number(row["ratio"])} '
            f'({interval(row["low"], row["high"])})'
        )

    def _told(self, sentence):
        text = ' '.join(documents.page('README.md').split())
        self.assertTrue(sentence in text, sentence)

    def test_the_readme_says_how_much_is_left_of_gains_up_to_a_factor_and_what_it_hid(self):
        left, hidden = {}, {}
        for task in _REMEDIED:
            _, scaled = _compared(_remedies, task)
            gained = scaled['before'] == BETTER
            left[task] = collections.Counter(scaled[gained]['verdict'])
            hidden[task] = scaled[~gained & (scaled['verdict'] == BETTER)]
        self.assertEqual(left['std'][BETTER], 0)
        both = [f'{left[t][BETTER]} of {left[t].total()}' for t in _REMEDIED[1:]]
        of_std = left['std']
        self._told(
            f'none of its {of_std.total()} gains is shown any more, {of_std[SAME]} '
            'are the same within the margin; of the radius {} still are, of the angle {}.'.format(
                *both
            )
        )
        five = hidden['std']
        self.assertTrue(five['remedy'].str.match('ensemble|rebagg').all())
        self.assertEqual(five['law'].nunique(), 4)
        low, high = number(five['ratio'].min()), number(five['ratio'].max())
        self._told(f'the mean of five networks then has {low} to {high} times the MSE.')

    def test_the_text_says_which_gains_are_larger_than_on_balanced_targets(self):
        gains, p, ratios = 0, [], {}
        for task in _REMEDIED[1:]:
            study = _remedies(task)
            rows, _ = _compared(_remedies, task)
            rows = rows[rows['test_distribution'] == 'u1_10'].set_index(['law', 'remedy'])
            logs = _log_ratios(study)
            for law, remedy in rows.index[(rows['verdict'] == BETTER) & ~rows['balanced']]:
                gains += 1
                even = logs['uniform(1, 10)'].get(remedy)
                if even is not None:
                    more = (logs[law][remedy] - even).dropna()
                    p.append(stats.ttest_1samp(more, 0).pvalue)
                    ratios[task, law, remedy.partition('(')[0]] = more
        shown = statistics.holm(p) < 0.05
        larger = np.array([more.mean() for more in ratios.values()]) < 0
        self.assertEqual(shown.sum(), (shown & larger).sum())
        told = (
            f'Of the {gains} gains of radius and angle, {len(p)} are of remedies that act on '
            f'U(1, 10), too, and {shown.sum()} of these are shown to be larger than there'
        )
        self.assertTrue(told in _TEXT, told)
        tail = ratios['disc_radius', 'cut(exponential(1, 2), 1, 10)', 'evidential']
        found = np.exp([tail.mean(), *statistics.mean_interval(tail.to_numpy(), 0.95)])
        told = f"evidential's: {number(found[0])} times what it gives under U(1, 10), "
        self.assertTrue(told + interval(*found[1:]) in _TEXT, told + interval(*found[1:]))
        self._told(
            f'of their {len(p)} gains whose remedy acts on U(1, 10) as well, {shown.sum()} are '
            'shown to be larger than there, none smaller.'
        )

    def test_each_remedys_ratio_stands_beside_the_networks(self):
        for task in _REMEDIED:
            kept = pd.read_csv(_ROOT / 'results' / f'remedies-{task}' / 'leaderboard.csv')
            rows, _ = _compared(_remedies, task)
            pd.testing.assert_frame_equal(kept, _ratios(rows), check_dtype=False, rtol=1e-3)

    def test_the_readme_says_how_often_remedies_harm_and_where(self):
        every = {task: _compared(_remedies, task)[0] for task in _REMEDIED}
        rows = pd.concat(every.values())
        rows = rows[(rows['test_distribution'] == 'u1_10') & ~rows['balanced'].astype(bool)]
        counts = rows['verdict'].value_counts()
        self._told(
            f'Of {len(rows)} comparisons under imbalance {counts[BETTER]} are better and '
            f'{counts[WORSE]} worse'
        )
        angle = every['needle_angle']
        tail = angle[angle['law'].str.contains('exponential')].set_index('remedy')
        on = dict(list(tail.groupby('test_distribution')))
        gained = on['u1_10'].index[on['u1_10']['verdict'] == BETTER]
        other = on['u1_5'].loc[gained]
        worse = other[other['verdict'] == WORSE]['ratio']
        self._told(
            f"tested on U(1, 5), {len(worse)} of the angle's {len(gained)} under (1 + Exp(2)) are "
            f'worse, {worse.min():.2f} to {worse.max():.2f} times.'
        )

    def test_the_readme_says_what_imbalance_still_costs_with_a_remedy(self):
        costs = {}
        for task in _REMEDIED[1:]:
            study = _remedies(task)
            rows = contrasts.table(study, contrasts.laws(study), True)
            rows = rows[(rows['metric'] == 'mse') & (rows['law'] == 'normal(5.5, 1)')]
            rows = rows[rows['test_distribution'] == 'u1_10'].set_index('what')
            for what in ('gaussian_noise', 'no remedy'):
                self.assertEqual(rows.loc[what, 'verdict'], WORSE)
                costs.setdefault(what, []).append(f'{rows.loc[what, "ratio"]:.2f}')
        self._told(
            'N(5.5, 1) costs them {} and {} times the MSE under U(1, 10) where both have '
            'gaussian_noise, {} and {} times without.'.format(
                *costs['gaussian_noise'], *costs['no remedy']
            )
        )

    def test_the_readme_says_what_is_left_at_chosen_rates(self):
        left, of, hidden = {}, {}, {}
        for task in _RATED:
            shown = _tuned(task)
            found, _ = places.places(shown)
            self.assertEmpty(places.unfinished(shown))
            for place in found:
                none = place.entries[0]
                if (task, place.law) == ('needle_angle', 'uniform(1, 10)'):
                    # Where farther ones would not do, as the results say.
                    self.assertEqual(none.rate, none.tried[-1])
                    continue
                # Without a remedy the choice is no end of what was tried.
                self.assertBetween(none.rate, none.tried[1], none.tried[-2])
            _, scaled = _compared(_tuned, task)
            gained = scaled['before'] == BETTER
            left[task], of[task] = scaled[gained]['verdict'].value_counts(), gained.sum()
            hidden[task] = scaled[~gained & (scaled['verdict'] == BETTER)]
            if task == 'std':
                plain = {place.law: place.entries[0].rate for place in found}
                faster = (hidden[task]['rate'] > hidden[task]['law'].map(plain)).sum()
        self.assertNotIn(BETTER, left['std'])
        more = [f'{left[task][BETTER]} of {of[task]}' for task in _RATED[1:]]
        self._told(
            f'none of the {of["std"]} gains of the standard deviation is shown to be more than a '
            f'factor ({left["std"][UNDECIDED]} undecided, {left["std"][WORSE]} worse), but '
            f'{len(hidden["std"])} others are, {faster} of them at a higher rate than no remedy '
            "has, and none of these beside plain networks at that rate; of the radius's gains "
            f"{more[0]} are, of the angle's {more[1]}."
        )

    def test_the_text_says_which_chosen_rates_fail(self):
        shown = _tuned('needle_angle')
        constant = (10 - 1) ** 2 / 12  # The MSE on U(1, 10) of its mean.
        (now, _), (before, _) = (_compared(of, 'needle_angle') for of in (_tuned, _remedies))
        now, before = (
            rows[rows['test_distribution'] == 'u1_10'].set_index(['law', 'remedy'])
            for rows in (now, before)
        )
        failing = {}
        for place in places.places(shown)[0]:
            for entry in place.entries:
                errors = shown.values('cnn', entry.condition, 'u1_10', 'mse')
                self.assertLen(errors, 10)
                constants = errors > 0.95 * constant
                if entry.rate == entry.tried[-1] and constants.any():
                    failing[place.law, entry.remedy] = constants
        gone = before[before['verdict'] == BETTER].index.difference(
            now[now['verdict'] == BETTER].index
        )
        greatest = places.places(shown)[0][0].entries[0].tried[-1]
        self.assertEqual(set(now.loc[gone, 'rate']), {greatest})
        least = before.loc['normal(5.5, 1)']['ratio'].idxmin()
        self.assertStartsWith(least, 'gaussian_noise')
        of_none, of_noise = failing['uniform(1, 10)', ''], failing['normal(5.5, 1)', least]
        self.assertFalse(of_none.loc[:1].any() or of_noise.loc[:1].any())
        told = (
            f'which two repeats did not show: {of_none.sum()} of ten with no remedy under '
            f'U(1, 10), {of_noise.sum()} of ten with gaussian_noise under N(5.5, 1), where it has '
            f'the least ratio at one rate. All {len(gone)} gains at one rate that are not shown '
            'below are of remedies that chose three times it, and '
            f'{sum(key in failing for key in gone)} of them have such networks.'
        )
        self.assertTrue(told in _TEXT, told)

    def test_the_text_says_what_is_left_beside_plain_networks_at_the_same_rate(self):
        shown = _tuned('std')
        found, _ = places.places(shown)
        _, scaled = _compared(_tuned, 'std')
        gained = scaled['before'] != BETTER
        hidden = scaled[gained & (scaled['verdict'] == BETTER)]
        p, ratios = [], []
        for place in found:
            none = place.entries[0]
            own = hidden[(hidden['law'] == place.law) & (hidden['rate'] > none.rate)]
            for condition, rate in zip(own['condition'], own['rate'], strict=True):
                plain = none.conditions[none.tried.index(rate)]
                values = [
                    shown.values('cnn_scaled', name, 'u1_10', 'mse') for name in (condition, plain)
                ]
                self.assertLen(values[1], 10)
                logs = np.log(values[0]) - np.log(values[1])
                p.append(stats.ttest_1samp(logs, 0).pvalue)
                ratios.append(np.exp(logs.mean()))
        # As README has it.
        self.assertFalse(((statistics.holm(p) < 0.05) & (np.array(ratios) < 1)).any())
        told = (
            f'Of the {len(p)} of these that are at a higher rate than no remedy, none is shown to '
            'be better at its best factor than plain networks at that rate, with ratios of '
            f'{number(min(ratios))} to {number(max(ratios))}.'
        )
        self.assertTrue(told in _TEXT, told)
        less = 0
        for place in found:
            none = place.entries[0]
            farther = none.conditions[none.tried.index(none.rate) + 1]
            means = [
                shown.values('cnn', name, 'u1_10', 'mse').mean()
                for name in (farther, none.condition)
            ]
            less += means[0] < means[1]
        self.assertIn(f'is less at nine times under {less} of the four laws.', _TEXT)

    def test_the_readme_says_where_imbalance_costs_anything_with_a_remedy_or_without(self):
        worse = {}
        for task in _REMEDIED:
            shown = _remedies(task)
            rows = contrasts.table(shown, contrasts.laws(shown), True)
            plain = rows[(rows['metric'] == 'mse') & (rows['what'] == 'no remedy')]
            self.assertLen(plain, 3)
            worse[task] = sorted(plain[plain['verdict'] == WORSE]['law'])
            if task != 'std':
                told = {s.name: s for s in questions.SECTIONS}['remedies-laws'].build(shown)
                self.assertIn('in 0 of 66 cases, without a remedy in 0 of 3', told.headline)
            if task == 'disc_radius':
                tail = rows[rows['law'].str.contains('exponential') & (rows['metric'] == 'mse')]
                less = list(tail[tail['verdict'] == BETTER]['what'])
                [row] = tail[tail['what'] == 'no remedy'].to_dict('records')
                told = (
                    f'without a remedy ({number(row["ratio"])} times, '
                    f'{interval(row["low"], row["high"])}), and with {less[0]}, {less[1]} and '
                    f'{less[2]} networks do better there'
                )
                self.assertLen(less, 3)
                self.assertTrue(told in _TEXT, told)
        self._told('neither with remedies (0 of 66 cases each) nor without (0 of 3): ')
        dear = ['normal(5.5, 1)', 'uniform(1, 5)']
        every = ['cut(exponential(1, 2), 1, 10)', *dear]
        self.assertEqual(worse, {'std': [], 'disc_radius': dear, 'needle_angle': every})


class AnswersTest(absltest.TestCase):
    """What is asked of remedies themselves: a study of `configs/remedy_answers.py` each."""

    # Which section answers it.
    _ASKED: ClassVar[dict[str, str]] = {
        'missing': 'missing',
        'labels': 'parameters',
        'dropout': 'settings',
        'gains': 'settings',
        'symmetry': 'laws',
        'mean': 'averaged',
    }

    def test_the_text_repeats_what_the_reports_answer(self):
        folders = sorted((_ROOT / 'results').glob('remedy_answers-*'))
        self.assertEqual(
            {f.name.removeprefix('remedy_answers-') for f in folders}, self._ASKED.keys()
        )
        for folder in folders:
            name = self._ASKED[folder.name.removeprefix('remedy_answers-')]
            with self.subTest(folder.name):
                if name == 'averaged':
                    continue  # Of predictions, which results/ has not; see below.
                [section] = [s for s in questions.SECTIONS if s.name == f'remedies-{name}']
                headline = section.build(_study(folder)).headline
                self.assertTrue(headline in _TEXT, headline)

    def test_the_text_repeats_what_is_told_of_means_of_predictions(self):
        folder = _ROOT / 'results' / 'remedy_answers-mean'
        frames = [
            pd.read_csv(folder / f'questions_averaged{of}.csv.gz', keep_default_na=False)
            for of in ('', '_scaled')
        ]
        study = _study(folder)
        told = questions.QUESTIONS[-1].tell(study, *frames)
        for sentence in told[:4]:
            self.assertTrue(sentence in _TEXT, sentence)
        of_two = frames[1][frames[1]['against'] == contrasts.MEAN_TO_TWO]
        rarest = of_two[of_two['metric'].isin(leaderboard.RAREST)]
        of_two = of_two[of_two['metric'] == 'mse']
        worse = rarest[rarest['verdict'] == WORSE]['ratio']
        for rows in (of_two, rarest):
            self.assertLen(rows, 20)
            self.assertNotIn(BETTER, set(rows['verdict']))
        told = (
            f'on the rarest targets {len(worse)} of 20 are worse, {worse.min():.2f} to '
            f'{worse.max():.2f} times the MAE.'
        )
        self.assertTrue(told in _TEXT, told)
        # The tables are of these networks: their errors alone are in results.csv, too.
        alone = frames[0][
            (frames[0]['against'] == contrasts.ALONE) & (frames[0]['metric'] == 'mse')
        ]
        for law, task in (('missing', 'std'), ('tail', 'disc_radius')):
            values = study.values('cnn', f'{task}-{law}-lds', 'u1_10', 'mse')
            spec = study.conditions[f'{task}-{law}-lds'].train.spec
            [row] = alone[
                (alone['setting'] == task) & (alone['law'] == spec) & (alone['what'] == 'lds')
            ].to_dict('records')
            self.assertAlmostEqual(row['first_mean'], values.mean(), delta=1e-5 * values.mean())

    def _assert_best_told(self, study, rows, best):
        """The text has of each row that `best` has the least ratio, and its interval."""
        laws = {c.train.spec: c.train.label for c in study.conditions.values()}
        self.assertIn(f'is that of {best}: ', _TEXT)
        for row in rows.to_dict('records'):
            self.assertIn(best, row['answer'])
            told = (
                rf'{number(row["ratio"])} times (that of no remedy )?under '
                rf'{re.escape(laws[row["law"]])}, {interval(row["low"], row["high"])} for all '
                rf'{row["compared"]} at once'
            )
            self.assertRegex(_TEXT, told)

    def test_all_that_published_targets_give_is_a_factor(self):
        study = _study(_ROOT / 'results' / 'remedy_answers-labels')
        found, _ = places.places(study)
        frame = leaderboard.table(study, found, {})
        rows = leaderboard.scaled(study, found, frame, 'u1_10', 'mse')
        rows = rows[rows['before'] == BETTER]
        self.assertNotEmpty(rows)
        self.assertTrue(all('relabel=False' in remedy for remedy in rows['remedy']))
        self.assertEqual(set(rows['verdict']), {SAME})
        content = leaderboard_section.SECTION.build(study)
        [table] = [table for table in content.tables if table.name == 'leaderboard_answers']
        self._assert_best_told(study, table.frame, "smogn(neighbours='target', relabel=False)")
        note = content.notes[0]
        self.assertIn('6 the same within the margin', note)
        self.assertTrue(note in _TEXT.replace('*', ''), note)

    def test_the_text_says_how_much_measured_targets_change(self):
        study = _study(_ROOT / 'results' / 'remedy_answers-labels')
        found, _ = places.places(study)
        for predictor, digits, said in (
            ('cnn', 3, ' times as large'),
            ('cnn_scaled', 4, ' times)'),
        ):
            rows = contrasts.table(study, contrasts.parameters(study, found, predictor))
            rows = rows[(rows['metric'] == 'mse') & (rows['against'] == 'relabel=False')]
            worse = rows[rows['verdict'] == WORSE]
            mixed = worse['what'].str.contains('smoter|target')
            self.assertTrue(len(worse) == 6 and mixed.all())
            low, high = (
                number(end, digits) for end in (worse['ratio'].min(), worse['ratio'].max())
            )
            told = f'{low} to {high}{said}'
            self.assertTrue(told in _TEXT, told)
            others = rows[rows['verdict'] != WORSE]['ratio']
            self.assertBetween(others.min(), 0.94, 1)
            self.assertLess(others.max(), 1)
        alike = [
            study.values('cnn', f'std-tail-{method}-near', 'u1_10', 'mse')
            for method in ('smogn', 'smoter')
        ]
        np.testing.assert_allclose(*alike, rtol=1e-6)

    def test_the_number_of_bins_decides_little(self):
        results = _ROOT / 'results'
        own = [results / f'remedies-{task}' for task in _REMEDIED[1:]]
        study = _study(*own, results / 'remedy_bins')
        [section] = [s for s in questions.SECTIONS if s.name == 'remedies-parameters']
        self.assertTrue(section.build(study).headline in _TEXT, section.build(study).headline)
        rows = contrasts.table(study, contrasts.parameters(study, places.places(study)[0]))
        rows = rows[rows['metric'] == 'mse']
        told = f'The ratios are {number(rows["ratio"].min())} to {number(rows["ratio"].max())}.'
        self.assertTrue(told in _TEXT, told)
        fds = rows[rows['what'].str.startswith('fds')].set_index(['law', 'setting'])
        worse, tail = (fds.loc[law] for law in ('normal(5.5, 1)', 'cut(exponential(1, 2), 1, 10)'))
        self.assertEqual(list(worse['verdict']), [WORSE, WORSE])
        self.assertEqual(list(tail['verdict']), [BETTER, SAME])
        by = [f'{abs(ratio - 1):.1%}'.replace('%', ' %') for ratio in worse['ratio']]
        less = f'{1 - tail.loc["disc_radius", "ratio"]:.1%}'.replace('%', ' %')
        told = (
            f'is worse for them under N(5.5, 1) by {by[0]} and {by[1]}, and better under '
            f'(1 + Exp(2)) on [1, 10] by {less} for the radius alone'
        )
        self.assertTrue(told in _TEXT, told)

    def test_where_targets_are_missing_nothing_is_left_of_what_helps(self):
        study = _study(_ROOT / 'results' / 'remedy_answers-missing')
        [table] = [
            t for t in leaderboard_section.SECTION.build(study).tables if t.name.endswith('answers')
        ]
        self._assert_best_told(study, table.frame, 'balanced_mse')
        found, _ = places.places(study)
        asked = contrasts.missing(study, found, 'cnn_scaled')
        left = contrasts.table(study, asked)
        left = left[left['test_distribution'] == 'u1_10']
        self.assertLen(left, 14)
        self.assertNotIn(BETTER, set(left['verdict']))

    def test_the_text_says_for_which_task_a_symmetry_makes_imbalance_irrelevant(self):
        study = _study(_ROOT / 'results' / 'remedy_answers-symmetry')
        shown = {}
        for predictor in ('cnn', 'cnn_scaled'):
            rows = contrasts.table(study, contrasts.laws(study, (), predictor), True)
            rows = rows[rows['metric'] == 'mse']
            self.assertTrue((rows[rows['setting'] == 'disc_radius']['verdict'] == 'worse').all())
            own = rows[rows['verdict'] == SAME]['what'].str.partition(', ')[0]
            shown[predictor] = own.value_counts().to_dict()
        self.assertEqual(shown['cnn'], {'homogeneous': 2, 'scale_augmentation': 2})
        self.assertEqual(shown['cnn_scaled'], shown['cnn'] | {'no remedy': 2})
        whole = _remedies('std')
        own = contrasts.table(whole, contrasts.laws(whole), True)
        own = own[(own['metric'] == 'mse') & (own['law'] == 'cut(exponential(1, 2), 1, 10)')]
        [row] = own[own['what'] == 'homogeneous'].to_dict('records')
        self.assertEqual(row['verdict'], WORSE)
        paid = f'{number(row["ratio"])} times ({interval(row["low"], row["high"])})'
        self.assertTrue(f'shown to pay](#remedies-of-the-standard-deviation) {paid}' in _TEXT, paid)
        # Images times a factor are the same whatever the law.
        again = [
            study.values('cnn', f'std-{law}-scale_augmentation', 'u1_10', 'mse')
            for law in ('missing', 'normal')
        ]
        np.testing.assert_allclose(*again, rtol=1e-4)
        pays = rows[rows['setting'] == 'disc_radius']['ratio']
        told = f'each {number(pays.min(), 3)} to {number(pays.max(), 3)} times the MSE'
        self.assertTrue(told in _TEXT, told)
        self.assertEqual(
            contrasts.unlearnt(study),
            [f'no remedy, normalization = {kind} (std)' for kind in ('layer', 'input')],
        )

    def test_two_of_the_largest_gains_are_a_cure_for_dropout_and_two_are_better_losses(self):
        study = _study(_ROOT / 'results' / 'remedy_answers-gains')
        found, _ = places.places(study)
        frame = leaderboard.table(study, found, {})
        rows = leaderboard.scaled(study, found, frame, 'u1_10', 'mse')
        rows = rows[rows['setting'].str.endswith('conv_dropout_rate = 0')]
        plain = frame.loc[rows.index].assign(scaled=rows['ratio'], still=rows['verdict'])
        by = dict(iter(plain.groupby(plain['remedy'].str.partition('(')[0])))
        self.assertEqual({name: len(own) for name, own in by.items()},
                         {'balanced_mse': 4, 'evidential': 4, 'huber': 4, 'smoter': 2})  # fmt: skip
        self.assertNotIn(BETTER, set(by['balanced_mse']['verdict']))
        self.assertEqual(set(by['smoter']['verdict']), {WORSE})
        worse = [number(ratio) for ratio in by['smoter']['ratio']]
        told = f'has {worse[0]} and {worse[1]} times the MSE of no remedy.'
        self.assertTrue(told in _TEXT, told)
        for column, shown in (('ratio', 'verdict'), ('scaled', 'still')):
            ends = []
            for name in ('huber', 'evidential'):
                own = by[name]
                self.assertEqual(set(own[shown]), {BETTER})
                ends.append(f'{number(own[column].min())} to {number(own[column].max())}')
            told = f'{ends[0]} and {ends[1]} times'
            self.assertTrue(told in _TEXT, told)

    def test_without_dropout_nothing_is_shown_to_help(self):
        study = _study(_ROOT / 'results' / 'remedy_answers-dropout')
        tables = {table.name: table for table in leaderboard_section.SECTION.build(study).tables}
        rows = tables['leaderboard_answers'].frame
        plain = rows[rows['setting'].str.endswith('conv_dropout_rate = 0')]
        self.assertLen(plain, 2)
        self.assertEqual(plain['better'].sum(), 0)
        self._assert_best_told(study, rows[rows['better'] > 0], 'balanced_mse')
        self.assertLen(rows, 4)
        # What hurts less with dropout is no cure.
        found, _ = places.places(study)
        every = leaderboard.table(study, found, {})
        every = every[(every['metric'] == 'mse') & every['remedy'].str.contains('balanced_mse')]
        every = every[every['setting'].str.endswith('conv_dropout_rate = 0')]
        none = [
            f'{number(row["ratio"])} times ({interval(row["low"], row["high"])})'
            for row in every.to_dict('records')
        ]
        self.assertLen(none, 2)
        told = f'Without dropout it has {none[0]} and {none[1]}, and none of these seven is shown'
        self.assertTrue(told in _TEXT, told)
        own = contrasts.table(study, contrasts.settings(study, found))
        less = own[(own['metric'] == 'mse') & (own['verdict'] == BETTER)]
        self.assertEqual(list(less['what']).count('log_target'), 2)
        self.assertTrue((less[less['what'] == 'log_target']['first_mean'] > 1).all())


if __name__ == '__main__':
    absltest.main()

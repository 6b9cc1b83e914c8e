"""The paper's conclusions as claims, each tested: it stands, fails, or is undecided.

A verdict is given for each claim, metric and predictor, and for each group of conditions that
differ in nothing but the training law. Differences are paired by repeat and tested with Student's
t at the level 1 − `analysis.confidence`, Holm-corrected within a claim; "costs little" and "about
the same" are tests against a margin (`analysis.equivalence_margin`, a fraction of the balanced
condition's value).
"""

import dataclasses
import math
from typing import Any

import numpy as np
import pandas as pd

from imbreg_jax.analysis import loading, paper, statistics
from imbreg_jax.analysis.tables import number

STANDS, FAILS, UNDECIDED, UNTESTED = 'stands', 'fails', 'undecided', 'not tested'

STATEMENTS = {
    1: 'Every network beats the baseline.',
    2: 'On U(1, 10) the order in error is balanced < normal < missing.',
    3: 'Training on N(5.5, 1) costs little against balanced training.',
    4: 'Networks trained on U(1, 5) do better on U(1, 5) than on U(1, 10).',
    5: "N(5.5, 1)-networks' percentage error is about the same on N(5.5, 1) and U(1, 10).",
    6: 'Averaged over all test distributions the order is the same: balanced < normal < missing.',
}
METRIC_NAMES = {'mse': 'MSE', 'mape': 'MAPE', 'mpe': 'MPE', 'mae': 'MAE'}
UNITS = {'mse': '', 'mape': ' %', 'mpe': ' %', 'mae': ''}


@dataclasses.dataclass(frozen=True)
class Evidence:
    """One paired comparison behind a verdict; the claim expects first > second.

    Attributes:
      first: what the first values are.
      second: what the second values are.
      comparison: its statistics.
      holm_p_value: two-sided t test, Holm-corrected within the claim.
      equivalence: the test against the margin, where the claim has one.
      source: files and rows of the numbers.
    """

    first: str
    second: str
    comparison: statistics.Comparison
    holm_p_value: float
    equivalence: statistics.Equivalence | None
    source: str


@dataclasses.dataclass(frozen=True)
class Verdict:
    """Whether a claim stands.

    Attributes:
      claim: number of the claim, a key of `STATEMENTS`.
      variant: what sets the group of conditions apart; '' for the study's first.
      predictor: 'cnn' or 'cnn_calibrated'.
      metric: 'mse' or 'mape'.
      status: 'stands', 'fails', 'undecided' or 'not tested'.
      reason: a sentence with the numbers and the test.
      note: what it would take to decide, where it is undecided; else ''.
      evidence: the comparisons.
    """

    claim: int
    variant: str
    predictor: str
    metric: str
    status: str
    reason: str
    note: str = ''
    evidence: tuple[Evidence, ...] = ()

    @property
    def statement(self) -> str:
        """The claim in words."""
        return STATEMENTS[self.claim]


def p_text(p: float) -> str:
    """Returns 'p = 0.012', 'p < 0.001' or 'p undefined'."""
    if not math.isfinite(p):
        return 'p undefined'
    return 'p < 0.001' if p < 0.001 else f'p = {p:.3f}'


@dataclasses.dataclass(frozen=True)
class _Series:
    """What a verdict compares: values by repeat, what to call them, where they come from."""

    label: str
    values: pd.Series
    source: str


class _Judge:
    """Tests the claims for one variant, predictor and metric."""

    def __init__(
        self, study: loading.Study, variant: loading.Variant, predictor: str, metric: str
    ) -> None:
        self._study = study
        self._variant = variant
        self._predictor = predictor
        self._metric = metric
        self._alpha = 1 - study.option('confidence', 0.95)
        self._margin = study.option('equivalence_margin', 0.1)

    def verdict(self, claim: int) -> Verdict:
        """Returns the verdict on one claim."""
        needed = {
            1: (),
            2: (paper.BALANCED, paper.NORMAL, paper.MISSING),
            3: (paper.BALANCED, paper.NORMAL),
            4: (paper.MISSING,),
            5: (paper.NORMAL,),
            6: (paper.BALANCED, paper.NORMAL, paper.MISSING),
        }[claim]
        tests = {
            1: (),
            2: (paper.BALANCED,),
            3: (paper.BALANCED,),
            4: (paper.MISSING, paper.BALANCED),
            5: (paper.NORMAL, paper.BALANCED),
            6: paper.test_distributions(),
        }[claim]
        lacking = [name for name in needed if name not in self._variant.conditions]
        if lacking:
            return self._make(claim, UNTESTED, f'No condition is trained on {", ".join(lacking)}.')
        lacking = [name for name in tests if name not in self._study.test_distributions]
        if lacking:
            return self._make(claim, UNTESTED, f'The study does not test on {", ".join(lacking)}.')
        if claim == 1:
            return self._beats_baseline()
        if claim in (2, 6):
            return self._order(claim, paper.BALANCED if claim == 2 else paper.ALL_TESTS)
        if claim == 3:
            return self._costs_little()
        if claim == 4:
            return self._better_at_home()
        return self._about_the_same()

    def _make(
        self,
        claim: int,
        status: str,
        reason: str,
        note: str = '',
        evidence: tuple[Evidence, ...] = (),
    ) -> Verdict:
        return Verdict(
            claim, self._variant.name, self._predictor, self._metric, status, reason, note, evidence
        )

    def _series(self, condition: str, test: str, predictor: str | None = None) -> _Series:
        predictor = predictor or self._predictor
        label = (
            self._study.conditions[condition].title + '-networks' if condition else 'random guess'
        )
        on = 'all tests' if test == paper.ALL_TESTS else self._study.test_distributions[test].label
        return _Series(
            f'{label} on {on}',
            self._study.values(predictor, condition, test, self._metric),
            self._study.source(predictor, condition, test, self._metric),
        )

    def _trained_on(self, train: str, test: str) -> _Series:
        return self._series(self._variant.conditions[train], test)

    def _compare(
        self, pairs: list[tuple[_Series, _Series]], references: list[_Series] | None = None
    ) -> tuple[Evidence, ...]:
        compared = []
        for i, (first, second) in enumerate(pairs):
            columns = [first.values, second.values]
            if references:
                columns.append(references[i].values)
            joint = pd.concat(columns, axis=1, join='inner').to_numpy(float)
            comparison = statistics.compare(
                joint[:, 0],
                joint[:, 1],
                1 - self._alpha,
                self._study.option('bootstrap_resamples', 9999),
                self._study.option('seed', 0),
                tests=len(pairs),
            )
            equivalence = None
            if references:
                equivalence = statistics.equivalence(
                    joint[:, 0], joint[:, 1], joint[:, 2], self._margin
                )
            compared.append((first, second, comparison, equivalence))
        corrected = statistics.holm([c.t_p_value for _, _, c, _ in compared])
        return tuple(
            Evidence(
                first.label,
                second.label,
                comparison,
                float(p),
                equivalence,
                f'{first.source}; {second.source}',
            )
            for (first, second, comparison, equivalence), p in zip(compared, corrected, strict=True)
        )

    def _numbers(self, evidence: Evidence) -> str:
        c, unit = evidence.comparison, UNITS[self._metric]
        text = (
            f'{evidence.first} {number(c.first_mean)}{unit} against {evidence.second} '
            f'{number(c.second_mean)}{unit}: difference {number(c.difference, 3)}'
            f'{" points" if unit else ""}'
        )
        if c.repeats > 1:
            text += (
                f' ({100 * (1 - self._alpha):g} % t interval {number(c.t_interval[0], 3)} to '
                f'{number(c.t_interval[1], 3)}; {c.repeats} pairs, paired t with Holm '
                f'{p_text(evidence.holm_p_value)})'
            )
        return text

    def _directed(self, claim: int, evidence: tuple[Evidence, ...], opening: str = '') -> Verdict:
        """Judges a claim that first > second in every comparison."""
        reason = opening + '; '.join(map(self._numbers, evidence)) + '.'
        if any(e.comparison.repeats < 2 for e in evidence):
            return self._make(claim, UNDECIDED, reason, _too_few(evidence), evidence)
        significant = [e.holm_p_value < self._alpha for e in evidence]
        positive = [e.comparison.difference > 0 for e in evidence]
        if any(s and not p for s, p in zip(significant, positive, strict=True)):
            return self._make(claim, FAILS, reason, '', evidence)
        if all(significant) and all(positive):
            return self._make(claim, STANDS, reason, '', evidence)
        notes = [
            self._undecided_note(e) for e, s in zip(evidence, significant, strict=True) if not s
        ]
        signed_rank = statistics.holm([e.comparison.wilcoxon_p_value for e in evidence])
        notes += [
            f'{e.first} against {e.second}: the signed-rank test decides it (Wilcoxon with Holm '
            f'{p_text(float(p))}) where the t test does not, so a few repeats make up the spread.'
            for e, s, p in zip(evidence, significant, signed_rank, strict=True)
            if not s and p < self._alpha
        ]
        return self._make(claim, UNDECIDED, reason, ' '.join(notes), evidence)

    def _undecided_note(self, evidence: Evidence) -> str:
        pair = f'{evidence.first} against {evidence.second}'
        test = evidence.equivalence
        if test is not None and test.p_value < self._alpha:
            return (
                f'{pair}: which is larger stays open, but the two are shown to be the same within '
                f'the margin (TOST {p_text(test.p_value)}).'
            )
        c = evidence.comparison
        return _decide_note(c.repeats, c.repeats_needed, pair)

    def _beats_baseline(self) -> Verdict:
        pairs = []
        beaten = total = 0
        diverged = [
            f'{self._study.conditions[condition].title} repeat {repeat}'
            for condition in self._variant.conditions.values()
            for name, repeat in self._study.diverged
            if name == condition
        ]
        for condition in self._variant.conditions.values():
            for test in self._study.test_distributions:
                guess = self._series('', test, 'random_guess')
                network = self._series(condition, test)
                joint = pd.concat([guess.values, network.values], axis=1, join='inner').to_numpy(
                    float
                )
                if not joint.size:
                    continue
                total += len(joint)
                beaten += int(np.sum(joint[:, 1] < joint[:, 0]))
                pairs.append((guess, network))
        if not pairs:
            return self._make(
                1, UNTESTED, 'No run has both a value and a baseline to hold it against.'
            )
        evidence = self._compare(pairs)
        opening = (
            f'In {beaten} of {total} pairs of network and test set the network has '
            'less error than the '
            'random guess of its repeat'
        )
        closest = min(evidence, key=lambda e: e.comparison.difference / e.comparison.first_mean)
        reason = f'{opening}; the closest: {self._numbers(closest)}.'
        if diverged:
            reason += f' Not counted, since diverged: {", ".join(diverged)}.'
        verdict = self._directed(1, evidence)
        status = FAILS if beaten < total else verdict.status
        note = '' if status == FAILS else verdict.note
        if diverged and status == STANDS:
            # A network that diverged beats nothing, and its error is not known.
            status, note = UNDECIDED, 'The networks that diverged have no error to compare.'
        return self._make(1, status, reason, note, evidence)

    def _order(self, claim: int, test: str) -> Verdict:
        balanced = self._trained_on(paper.BALANCED, test)
        normal = self._trained_on(paper.NORMAL, test)
        missing = self._trained_on(paper.MISSING, test)
        return self._directed(
            claim, self._compare([(normal, balanced), (missing, normal)], [balanced, balanced])
        )

    def _better_at_home(self) -> Verdict:
        home = self._trained_on(paper.MISSING, paper.MISSING)
        away = self._trained_on(paper.MISSING, paper.BALANCED)
        return self._directed(4, self._compare([(away, home)], [self._balanced_or(away)]))

    def _balanced_or(self, other: _Series) -> _Series:
        """What margins are fractions of: the balanced condition at home, where there is one."""
        if paper.BALANCED in self._variant.conditions:
            return self._trained_on(paper.BALANCED, paper.BALANCED)
        return other

    def _margin_text(self, equivalence: statistics.Equivalence) -> str:
        unit = UNITS[self._metric]
        return (
            f'margin {100 * self._margin:g} % of {number(equivalence.reference)}{unit}, '
            f'{number(self._margin * equivalence.reference, 3)}{unit}'
        )

    def _costs_little(self) -> Verdict:
        balanced = self._trained_on(paper.BALANCED, paper.BALANCED)
        normal = self._trained_on(paper.NORMAL, paper.BALANCED)
        evidence = self._compare([(normal, balanced)], [balanced])
        (found,) = evidence
        test = found.equivalence
        assert test is not None
        reason = (
            f'{self._numbers(found)}; {self._margin_text(test)}: cost below the margin '
            f'{p_text(test.below_p_value)}, above it {p_text(test.exceeds_p_value)}, two-sided '
            f'equivalence (TOST) {p_text(test.p_value)}.'
        )
        # A gain is no cost, so only the upper of TOST's two tests decides.
        return self._against_margin(
            3,
            evidence,
            reason,
            test.below_p_value,
            test.exceeds_p_value,
            normal,
            balanced,
            balanced,
        )

    def _about_the_same(self) -> Verdict:
        if self._metric != 'mape':
            return self._make(5, UNTESTED, 'The claim is about the percentage error only.')
        home = self._trained_on(paper.NORMAL, paper.NORMAL)
        away = self._trained_on(paper.NORMAL, paper.BALANCED)
        reference = self._balanced_or(away)
        evidence = self._compare([(home, away)], [reference])
        (found,) = evidence
        test = found.equivalence
        assert test is not None
        reason = (
            f'{self._numbers(found)}; {self._margin_text(test)}: equivalence (TOST) '
            f'{p_text(test.p_value)}, outside the margin {p_text(test.outside_p_value)}.'
        )
        return self._against_margin(
            5, evidence, reason, test.p_value, test.outside_p_value, home, away, reference
        )

    def _against_margin(
        self,
        claim: int,
        evidence: tuple[Evidence, ...],
        reason: str,
        inside: float,
        outside: float,
        first: _Series,
        second: _Series,
        reference: _Series,
    ) -> Verdict:
        if evidence[0].comparison.repeats < 2:
            return self._make(claim, UNDECIDED, reason, _too_few(evidence), evidence)
        if inside < self._alpha:
            return self._make(claim, STANDS, reason, '', evidence)
        if outside < self._alpha:
            return self._make(claim, FAILS, reason, '', evidence)
        joint = pd.concat([first.values, second.values, reference.values], axis=1, join='inner')
        values = joint.to_numpy(float)
        needed, side = statistics.repeats_needed_for_margin(
            values[:, 0],
            values[:, 1],
            values[:, 2],
            self._margin,
            self._alpha,
            two_sided=claim == 5,
        )
        subject = f'the difference seen lies {side} the margin, but'
        note = _decide_note(len(values), needed, subject)
        return self._make(claim, UNDECIDED, reason, note, evidence)


def _too_few(evidence: tuple[Evidence, ...]) -> str:
    fewest = min(e.comparison.repeats for e in evidence)
    return f'{fewest} repeat{"" if fewest == 1 else "s"}: no spread, so no test.'


def _decide_note(repeats: int, needed: int | None, subject: str) -> str:
    # A Holm-corrected test is stricter than the one that power is computed for.
    if needed is not None and needed <= repeats:
        return f'{subject}: {repeats} repeats fall short of it only by the correction or by chance.'
    wanted = (
        f'about {needed} would (power {statistics.POWER:g} at the effect observed)'
        if needed is not None
        else f'more than {statistics.MOST_REPEATS:,} would be needed at the effect observed'
    )
    return f'{subject}: {repeats} repeats cannot decide it; {wanted}.'


def verdicts(study: loading.Study) -> list[Verdict]:
    """Returns the verdict on each claim for each variant, predictor and metric.

    A variant beyond the first is left out for the claims that it has no conditions for.
    """
    found = []
    for i, variant in enumerate(study.variants()):
        for claim in STATEMENTS:
            for predictor in study.predictors:
                for metric in paper.METRICS:
                    if claim == 5 and metric != 'mape':
                        continue
                    verdict = _Judge(study, variant, predictor, metric).verdict(claim)
                    if i == 0 or verdict.status != UNTESTED:
                        found.append(verdict)
    return found


def survival(found: list[Verdict]) -> pd.DataFrame:
    """Says which conclusions survive a calibration of the networks by one factor each.

    Args:
      found: what `verdicts` returned.

    Returns:
      A row per variant, claim and metric: variant, claim, statement, metric, cnn, cnn_calibrated
      (their statuses) and survives: 'yes', 'no', 'undecided' or '' where there was no claim that
      stood or no calibrated predictor.
    """
    by_key = {(v.variant, v.claim, v.metric, v.predictor): v.status for v in found}
    rows = []
    for (variant, claim, metric, predictor), status in by_key.items():
        if predictor != 'cnn':
            continue
        calibrated = by_key.get((variant, claim, metric, 'cnn_calibrated'), '')
        survives = ''
        if status == STANDS and calibrated:
            survives = {STANDS: 'yes', FAILS: 'no'}.get(calibrated, 'undecided')
        rows.append(
            {
                'variant': variant,
                'claim': claim,
                'statement': STATEMENTS[claim],
                'metric': metric,
                'cnn': status,
                'cnn_calibrated': calibrated,
                'survives': survives,
            }
        )
    return pd.DataFrame(
        rows,
        columns=['variant', 'claim', 'statement', 'metric', 'cnn', 'cnn_calibrated', 'survives'],
    )


def comparisons(study: loading.Study, predictor: str = 'cnn') -> pd.DataFrame:
    """Compares the study's conditions with each other, whatever they are.

    Conditions that differ in nothing but the training law: every pair of the study's first such
    group. Conditions that differ in a setting: each against that of the first group with the same
    law. Holm's correction runs over all rows of a metric.

    Args:
      study: the loaded study.
      predictor: 'cnn' or 'cnn_calibrated'.

    Returns:
      A row per pair, test distribution and metric: first, second, test_distribution, metric,
      repeats, difference (first − second), t_low, t_high, bca_low, bca_high, t_p, holm_p,
      wilcoxon_p, cohens_d, cliffs_delta, tost_p (margin: fraction of the second), repeats_needed,
      source.
    """
    first_variant, *others = study.variants()
    names = list(first_variant.conditions.values())
    pairs = [(b, a) for i, a in enumerate(names) for b in names[i + 1 :]]
    pairs += [
        (name, first_variant.conditions.get(law, names[0]))
        for variant in others
        for law, name in variant.conditions.items()
    ]
    confidence = study.option('confidence', 0.95)
    rows = []
    for metric in paper.METRICS:
        block: list[dict[str, Any]] = []
        for first, second in pairs:
            for test in study.test_distributions:
                joint = pd.concat(
                    [study.values(predictor, name, test, metric) for name in (first, second)],
                    axis=1,
                    join='inner',
                ).to_numpy(float)
                c = statistics.compare(
                    joint[:, 0],
                    joint[:, 1],
                    confidence,
                    study.option('bootstrap_resamples', 9999),
                    study.option('seed', 0),
                )
                tost = statistics.equivalence(
                    joint[:, 0], joint[:, 1], joint[:, 1], study.option('equivalence_margin', 0.1)
                )
                block.append(
                    {
                        'first': first,
                        'second': second,
                        'test_distribution': test,
                        'metric': metric,
                        'repeats': c.repeats,
                        'difference': c.difference,
                        't_low': c.t_interval[0],
                        't_high': c.t_interval[1],
                        'bca_low': c.bca_interval[0],
                        'bca_high': c.bca_interval[1],
                        't_p': c.t_p_value,
                        'holm_p': math.nan,
                        'wilcoxon_p': c.wilcoxon_p_value,
                        'cohens_d': c.cohens_d,
                        'cliffs_delta': c.cliffs_delta,
                        'tost_p': tost.p_value,
                        'repeats_needed': c.repeats_needed,
                        'source': '; '.join(
                            study.source(predictor, name, test, metric) for name in (first, second)
                        ),
                    }
                )
        for row, p in zip(block, statistics.holm([row['t_p'] for row in block]), strict=True):
            row['holm_p'] = float(p)
        rows.extend(block)
    columns = [
        'first',
        'second',
        'test_distribution',
        'metric',
        'repeats',
        'difference',
        't_low',
        't_high',
        'bca_low',
        'bca_high',
        't_p',
        'holm_p',
        'wilcoxon_p',
        'cohens_d',
        'cliffs_delta',
        'tost_p',
        'repeats_needed',
        'source',
    ]
    return pd.DataFrame(rows, columns=columns)

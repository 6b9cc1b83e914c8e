"""The paper's conclusions as claims, each tested: it stands, fails, or is undecided.

A verdict is given for each claim, metric and predictor, and for each group of conditions that
differ in nothing but the training law. Differences are paired by repeat and tested with Student's
t at the level 1 − `analysis.confidence`, Holm-corrected within a claim; "costs little" and "about
the same" are tests against a margin (`analysis.equivalence_margin`, a fraction of the balanced
condition's value).
"""

import dataclasses
import itertools
import math
from collections.abc import Generator, Hashable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from imbreg_jax.analysis import finished, paper, statistics
from imbreg_jax.analysis.formats import number

STANDS, FAILS, UNDECIDED, UNTESTED = 'stands', 'fails', 'undecided', 'not tested'

STATEMENTS = {
    1: 'Every network beats the baseline.',
    2: 'On U(1, 10) the order in error is balanced < normal < missing.',
    3: 'Training on N(5.5, 1) costs little against balanced training.',
    4: 'Networks trained on U(1, 5) do better on U(1, 5) than on U(1, 10).',
    5: "N(5.5, 1)-networks' percentage error is about the same on N(5.5, 1) and U(1, 10).",
    6: 'Averaged over all test distributions the order is the same: balanced < normal < missing.',
}
# All pairs of a group are compared up to so many conditions; of more, each with the first.
MOST_CONDITIONS_IN_PAIRS = 6
# Bootstrap intervals are drawn for studies of up to so many conditions times test distributions.
MOST_BOOTSTRAPPED_CELLS = 60
_MOST_NAMED = 5
_MOST_NOTES = 10

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


@dataclasses.dataclass(frozen=True)
class _Question:
    """What a verdict needs to know: first − second of each pair, and of what its margin is."""

    pairs: Sequence[tuple[_Series, _Series]]
    references: Sequence[_Series] = ()

    def joint(self, i: int) -> np.ndarray:
        """Returns [2 or 3, n] values of the repeats that pair i (and its reference) share."""
        parts = (*self.pairs[i], *self.references[i : i + 1])
        return finished.joint([part.values for part in parts])[1]


# A judge asks once and is sent the answers: those of all verdicts are computed together.
_Asking = Generator[_Question, tuple[Evidence, ...], 'Verdict']


def resamples(study: finished.FinishedStudy) -> int:
    """Returns how often the bootstrap resamples: as configured, or 0 where the study is large."""
    cells = len(study.conditions) * len(study.test_distributions)
    if cells > MOST_BOOTSTRAPPED_CELLS:
        return 0
    return study.option('bootstrap_resamples', 9999)


def _listed(names: Sequence[str], most: int = _MOST_NAMED) -> str:
    """Returns the first names, and how many more there are."""
    more = f' and {len(names) - most:,} more' if len(names) > most else ''
    return ', '.join(names[:most]) + more


class _Judge:
    """Tests the claims for one variant, predictor and metric."""

    def __init__(
        self, study: finished.FinishedStudy, variant: finished.Variant, predictor: str, metric: str
    ) -> None:
        self._study = study
        self._variant = variant
        self._predictor = predictor
        self._metric = metric
        self._members = set(variant.conditions.values())
        self._alpha = 1 - study.option('confidence', 0.95)
        self._margin = study.option('equivalence_margin', 0.1)

    def verdict(self, claim: int) -> _Asking:
        """Asks for what one claim needs, and returns the verdict on it."""
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
            return (yield from self._beats_baseline())
        if claim in (2, 6):
            return (
                yield from self._order(claim, paper.BALANCED if claim == 2 else paper.ALL_TESTS)
            )
        if claim == 3:
            return (yield from self._costs_little())
        if claim == 4:
            return (yield from self._better_at_home())
        return (yield from self._about_the_same())

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

    def _series(self, condition: str, test: str) -> _Series:
        return _Series(
            f'{self._study.conditions[condition].title}-networks on {self._on(test)}',
            self._study.values(self._predictor, condition, test, self._metric),
            self._study.source(self._predictor, condition, test, self._metric),
        )

    def _guess(self, condition: str, test: str) -> _Series:
        held = self._study.baseline_condition(condition, test, self._metric)
        return _Series(
            f'random guess on {self._on(test)}',
            self._study.baseline(condition, test, self._metric),
            self._study.source(finished.BASELINE, held, test, self._metric),
        )

    def _on(self, test: str) -> str:
        if test == paper.ALL_TESTS:
            return 'all tests'
        return self._study.test_distributions[test].label

    def _trained_on(self, train: str, test: str) -> _Series:
        return self._series(self._variant.conditions[train], test)

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
        if len(notes) > _MOST_NOTES:
            more = f'{len(notes) - _MOST_NOTES:,} more such notes are left out.'
            notes = [*notes[:_MOST_NOTES], more]
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

    def _beats_baseline(self) -> _Asking:
        pairs: list[tuple[_Series, _Series]] = []
        beaten = total = 0
        losing: list[tuple[int, str]] = []
        for condition in self._variant.conditions.values():
            for test in self._study.test_distributions:
                guess, network = self._guess(condition, test), self._series(condition, test)
                shared, (guessed, errors) = finished.joint([guess.values, network.values])
                if not len(shared):
                    continue
                won = errors < guessed
                total += len(shared)
                beaten += int(won.sum())
                title = self._study.conditions[condition].title
                losing += [
                    (
                        len(pairs),
                        f'{title} repeat {shared[i]} on {self._on(test)} '
                        f'({number(errors[i])} against {number(guessed[i])})',
                    )
                    for i in np.flatnonzero(~won)
                ]
                pairs.append((guess, network))
        if not pairs:
            return self._make(
                1, UNTESTED, 'No run has both a value and a baseline to hold it against.'
            )
        evidence = yield _Question(pairs)
        reason = (
            f'In {beaten} of {total} pairs of network and test set the network has '
            'less error than the '
            'random guess of its repeat'
        )
        if losing:
            reason += f'; not so {_listed([name for _, name in losing])}'
        chosen = [evidence[i] for i in dict.fromkeys(i for i, _ in losing)] or evidence
        reason += f'; the pair that decides: {self._numbers(_weakest(chosen))}.'
        diverged = [
            f'{self._study.conditions[condition].title} repeat {repeat}'
            for condition, repeat in self._study.diverged
            if condition in self._members
        ]
        if diverged:
            reason += f' Not counted, since diverged: {_listed(diverged)}.'
        verdict = self._directed(1, evidence)
        status = FAILS if losing else verdict.status
        note = '' if status == FAILS else verdict.note
        if diverged and status == STANDS:
            # A network that diverged beats nothing, and its error is not known.
            status, note = UNDECIDED, 'The networks that diverged have no error to compare.'
        return self._make(1, status, reason, note, evidence)

    def _order(self, claim: int, test: str) -> _Asking:
        balanced = self._trained_on(paper.BALANCED, test)
        normal = self._trained_on(paper.NORMAL, test)
        missing = self._trained_on(paper.MISSING, test)
        evidence = yield _Question([(normal, balanced), (missing, normal)], [balanced, balanced])
        return self._directed(claim, evidence)

    def _better_at_home(self) -> _Asking:
        home = self._trained_on(paper.MISSING, paper.MISSING)
        away = self._trained_on(paper.MISSING, paper.BALANCED)
        evidence = yield _Question([(away, home)], [self._balanced_or(away)])
        return self._directed(4, evidence)

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

    def _costs_little(self) -> _Asking:
        balanced = self._trained_on(paper.BALANCED, paper.BALANCED)
        normal = self._trained_on(paper.NORMAL, paper.BALANCED)
        asked = _Question([(normal, balanced)], [balanced])
        evidence = yield asked
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
            asked,
        )

    def _about_the_same(self) -> _Asking:
        if self._metric != 'mape':
            return self._make(5, UNTESTED, 'The claim is about the percentage error only.')
        home = self._trained_on(paper.NORMAL, paper.NORMAL)
        away = self._trained_on(paper.NORMAL, paper.BALANCED)
        reference = self._balanced_or(away)
        asked = _Question([(home, away)], [reference])
        evidence = yield asked
        (found,) = evidence
        test = found.equivalence
        assert test is not None
        reason = (
            f'{self._numbers(found)}; {self._margin_text(test)}: equivalence (TOST) '
            f'{p_text(test.p_value)}, outside the margin {p_text(test.outside_p_value)}.'
        )
        return self._against_margin(5, evidence, reason, test.p_value, test.outside_p_value, asked)

    def _against_margin(
        self,
        claim: int,
        evidence: tuple[Evidence, ...],
        reason: str,
        inside: float,
        outside: float,
        asked: _Question,
    ) -> Verdict:
        if evidence[0].comparison.repeats < 2:
            return self._make(claim, UNDECIDED, reason, _too_few(evidence), evidence)
        if inside < self._alpha:
            return self._make(claim, STANDS, reason, '', evidence)
        if outside < self._alpha:
            return self._make(claim, FAILS, reason, '', evidence)
        values = asked.joint(0)
        needed, side = statistics.repeats_needed_for_margin(
            values[0], values[1], values[2], self._margin, self._alpha, two_sided=claim == 5
        )
        subject = f'the difference seen lies {side} the margin, but'
        note = _decide_note(values.shape[1], needed, subject)
        return self._make(claim, UNDECIDED, reason, note, evidence)


def _weakest(evidence: Sequence[Evidence]) -> Evidence:
    """Returns the comparison that speaks least for first > second: what a conjunction hangs on."""

    def support(found: Evidence) -> tuple[float, float]:
        c = found.comparison
        if not math.isfinite(c.t_p_value):
            # One repeat: no test, so the smallest difference beside what it is a difference from.
            return 0.0, c.difference / c.first_mean if c.first_mean else c.difference
        against = c.t_p_value / 2 if c.difference > 0 else 1 - c.t_p_value / 2
        # p values that are too small for float64 are alike; their t statistics are not.
        return -against, c.cohens_d * math.sqrt(c.repeats)

    return min(evidence, key=support)


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


def verdicts(study: finished.FinishedStudy) -> list[Verdict]:
    """Returns the verdict on each claim for each variant, predictor and metric.

    A variant beyond the first is left out for the claims that it has no conditions for.
    """
    asking: list[tuple[bool, _Asking]] = []
    for i, variant in enumerate(study.variants()):
        for claim in STATEMENTS:
            for predictor in study.predictors:
                for metric in paper.METRICS:
                    if claim == 5 and metric != 'mape':
                        continue
                    judge = _Judge(study, variant, predictor, metric)
                    asking.append((i == 0, judge.verdict(claim)))
    questions: dict[int, _Question] = {}
    found: dict[int, Verdict] = {}
    for i, (_, judging) in enumerate(asking):
        try:
            questions[i] = next(judging)
        except StopIteration as stop:
            found[i] = stop.value
    answers = _answer(study, list(questions.values()))
    for (i, _), answer in zip(questions.items(), answers, strict=True):
        try:
            asking[i][1].send(answer)
        except StopIteration as stop:
            found[i] = stop.value
    return [found[i] for i, (first, _) in enumerate(asking) if first or found[i].status != UNTESTED]


def _answer(
    study: finished.FinishedStudy, questions: Sequence[_Question]
) -> list[tuple[Evidence, ...]]:
    """Returns the evidence on each question, all of it computed together."""
    joints = [question.joint(i) for question in questions for i in range(len(question.pairs))]
    compared = iter(
        statistics.compare_many(
            [(joint[0], joint[1]) for joint in joints],
            study.option('confidence', 0.95),
            resamples(study),
            study.option('seed', 0),
            [len(question.pairs) for question in questions for _ in question.pairs],
        )
    )
    tested = iter(
        statistics.equivalence_many(
            [(joint[0], joint[1], joint[2]) for joint in joints if len(joint) == 3],
            study.option('equivalence_margin', 0.1),
        )
    )
    answers = []
    for question in questions:
        found = [next(compared) for _ in question.pairs]
        corrected = statistics.holm([c.t_p_value for c in found])
        answers.append(
            tuple(
                Evidence(
                    first.label,
                    second.label,
                    comparison,
                    float(p),
                    next(tested) if question.references else None,
                    f'{first.source}; {second.source}',
                )
                for (first, second), comparison, p in zip(
                    question.pairs, found, corrected, strict=True
                )
            )
        )
    return answers


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


def compared_pairs(study: finished.FinishedStudy) -> tuple[list[tuple[str, str]], list[str]]:
    """Returns which conditions are compared: those that differ in one thing.

    In the study's first group (alike but for the training law) these are all pairs, or, of more
    than `MOST_CONDITIONS_IN_PAIRS`, each condition and the first. Any other condition is held
    against the first that has its law and differs in one setting (or in nothing but the name),
    else against the first that has its settings and another law.

    Returns:
      (condition, the one it is held against), and the conditions that have no such partner.
    """
    first_variant, *others = study.variants()
    names = list(first_variant.conditions.values())
    if len(names) <= MOST_CONDITIONS_IN_PAIRS:
        pairs = [(b, a) for i, a in enumerate(names) for b in names[i + 1 :]]
    else:
        pairs = [(name, names[0]) for name in names[1:]]
    settings = {
        name: {field: _hashable(value) for field, value in condition.settings.items()}
        for name, condition in study.conditions.items()
    }
    fields = {field for own in settings.values() for field in own}
    varied = sorted(
        field for field in fields if len({own.get(field) for own in settings.values()}) > 1
    )
    # By law and all settings but one: whoever shares an entry differs in that one at most.
    places: dict[Hashable, str] = {}
    lone = []

    def entries(name: str) -> list[Hashable]:
        own = [settings[name].get(field) for field in varied]
        law = study.conditions[name].train.name
        return [(law, i, *own[:i], *own[i + 1 :]) for i in range(len(own))] or [(law,)]

    order = {name: i for i, name in enumerate(study.conditions)}
    for name in names:
        for entry in entries(name):
            places.setdefault(entry, name)
    for variant in others:
        members = list(variant.conditions.values())
        for name in members:
            alike = [places[entry] for entry in entries(name) if entry in places]
            if alike:
                pairs.append((name, min(alike, key=order.__getitem__)))
            elif name != members[0]:
                pairs.append((name, members[0]))
            else:
                lone.append(name)
            for entry in entries(name):
                places.setdefault(entry, name)
    return pairs, lone


def _hashable(value: Any) -> Hashable:
    return tuple(value) if isinstance(value, list) else value


def comparisons(study: finished.FinishedStudy, predictor: str = 'cnn') -> pd.DataFrame:
    """Compares the study's conditions with each other, whatever they are.

    Which with which says `compared_pairs`. Holm's correction runs over all rows of a metric.

    Args:
      study: the loaded study.
      predictor: 'cnn' or 'cnn_calibrated'.

    Returns:
      A row per pair, test distribution and metric: first, second, test_distribution, metric,
      repeats, difference (first − second), t_low, t_high, bca_low, bca_high (NaN in studies too
      large for the bootstrap), t_p, holm_p, wilcoxon_p, cohens_d, cliffs_delta, tost_p (margin:
      fraction of the second), repeats_needed, source.
    """
    pairs, _ = compared_pairs(study)
    keys = [
        (metric, first, second, test)
        for metric in paper.METRICS
        for first, second in pairs
        for test in study.test_distributions
    ]
    joints = [
        finished.joint([study.values(predictor, name, test, metric) for name in (first, second)])[1]
        for metric, first, second, test in keys
    ]
    compared = statistics.compare_many(
        [(first, second) for first, second in joints],
        study.option('confidence', 0.95),
        resamples(study),
        study.option('seed', 0),
    )
    tested = statistics.equivalence_many(
        [(first, second, second) for first, second in joints],
        study.option('equivalence_margin', 0.1),
    )
    rows: list[dict[str, Any]] = []
    for metric, block in itertools.groupby(
        zip(keys, compared, tested, strict=True), key=lambda found: found[0][0]
    ):
        family = list(block)
        corrected = statistics.holm([c.t_p_value for _, c, _ in family])
        for ((_, first, second, test), c, tost), p in zip(family, corrected, strict=True):
            rows.append(
                {
                    'first': first,
                    'second': second,
                    'test_distribution': test,
                    'metric': metric,
                    **c.columns(float(p), tost.p_value),
                    'source': '; '.join(
                        study.source(predictor, name, test, metric) for name in (first, second)
                    ),
                }
            )
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

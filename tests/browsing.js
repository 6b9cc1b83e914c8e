// What `reporting_test` looks at and does in a page, beside the page's own script.

// What goes beyond the page, what of a drawing's text lies over another or beyond the drawing.
const look = () => {
  const wide = document.documentElement.scrollWidth - document.documentElement.clientWidth;
  const scrolls = (e) => ['auto', 'scroll'].includes(getComputedStyle(e).overflowX);
  const within = (e) => e && (scrolls(e) || within(e.parentElement));
  const box = (e) => e.getBoundingClientRect();
  const said = (e) => `${e.closest('figure')?.id ?? e.tagName}: ${e.textContent.slice(0, 60)}`;
  const beyond = all('body *, figure svg text').filter((e) => {
    if (e.closest('svg') && !['svg', 'text'].includes(e.tagName)) return false;
    const {left, right, width: w} = box(e);
    return w && (left < -0.5 || right > innerWidth + 0.5) && !within(e.parentElement);
  }).map(said);
  const over = [], cut = [];
  for (const svg of all('figure svg')) {
    const texts = all('text', svg).map((e) => [e, box(e)]).filter(([, b]) => b.width);
    const s = box(svg);
    texts.forEach(([e, p], i) => {
      // Letters take less than the box about them.
      const far = 0.15 * Math.min(p.width, p.height) + 0.5;
      if (p.left < s.left - far || p.right > s.right + far
        || p.top < s.top - far || p.bottom > s.bottom + far) cut.push(said(e));
      for (const [f, q] of texts.slice(0, i)) {
        const w = Math.min(p.right, q.right) - Math.max(p.left, q.left);
        const h = Math.min(p.bottom, q.bottom) - Math.max(p.top, q.top);
        const least = Math.min(p.width, q.width, p.height, q.height);
        if (w > 0.3 * least && h > 0.3 * least) over.push(`${said(e)} | ${f.textContent}`);
      }
    });
  }
  return {wide, beyond, over, cut};
};

// Clicks, types, points and copies as a reader does, and says what came of it.
const act = async () => {
  const table = document.getElementById('results-table');
  const column = () => Array.from(table.tBodies[0].rows, (r) => Number(r.cells[3].dataset.key));
  const before = column();
  const button = table.tHead.rows[0].cells[3].querySelector('button');
  button.click(); const up = column(); const aria = button.parentNode.getAttribute('aria-sort');
  button.click(); const down = column();
  const cell = table.tBodies[0].rows[0].cells[3];
  cell.click();
  const from = [bar.textContent];
  cell.focus();
  cell.dispatchEvent(new KeyboardEvent('keydown', {key: 'ArrowRight', bubbles: true}));
  from.push(document.activeElement === cell.nextElementSibling, bar.textContent);
  const details = table.closest('details');
  details.open = false; details.open = true;
  await new Promise((done) => setTimeout(done));
  const input = details.querySelector('input');
  input.value = 'u(1,\u00a05) calibrated'.replace('\u00a0', ' ');
  input.dispatchEvent(new Event('input', {bubbles: true}));
  const left = Array.from(table.tBodies[0].rows).filter((r) => !r.hidden).map((r) => r.textContent);
  const rows = details.querySelector('.filter span').textContent;

  const of = (name) => figures.find((figure) => figure.element.id === name);
  const pointed = (name, selector) => {
    const figure = of(name), mark = figure.svg.querySelector(selector);
    const {left: x, top: y, width: w, height: h} = mark.getBoundingClientRect();
    mark.dispatchEvent(new PointerEvent('pointermove',
      {clientX: x + w / 2, clientY: y + h / 2, bubbles: true}));
    return tip.hidden ? null : Array.from(tip.children, (line) => line.textContent);
  };
  const tips = {
    repeat: pointed('errors', '[data-repeats] use'),
    interval: pointed('comparisons', '[data-kind=marks] use'),
    bar: pointed('decomposition', '[data-kind=bars] path'),
  };

  const lengths = figures.flatMap((figure) => figure.panels.flatMap((p) => p.series))
    .filter((s) => s.kind === 'marks' || s.kind === 'intervals')
    .map((s) => [s.kind === 'marks' ? s.x.length : s.x.length / 2, s.elements.length]);
  const drawn = () => all('[data-kind=marks] use').filter((mark) => mark.getClientRects().length
    && mark.getBoundingClientRect().width).length;
  const box = (value) => all('#tools input').find((b) => b.value === value);
  const press = (value) => box(value).click();
  const counts = [drawn()];
  press('U(1, 5)'); counts.push(drawn());
  press('3'); counts.push(drawn());
  press('U(1, 5)'); press('3'); counts.push(drawn());

  const figure = of('performance'), panel = figure.panels[0];
  const series = panel.series.find((s) => s.x.length > 5);
  const places = () => series.elements.map((use) => Number(use.getAttribute('x')));
  const linear = places();
  const scale = all('.buttons button', figure.element)[0], names = [scale.textContent];
  scale.click(); names.push(scale.textContent);
  const logarithmic = places(), ends = panel.x.ends, sides = panel.x.places;
  const ticks = all('[data-axis=x] .new text', panel.g).map((text) => Number(text.textContent));
  scale.click();
  const back = places();
  all('details').forEach((d) => { d.open = false; });
  location.hash = '#figure_2_samples';
  await new Promise((go) => addEventListener('hashchange', go, {once: true}));
  const revealed = of('figure_2_samples').svg.getBoundingClientRect().height > 0;
  return {revealed, errors, before, up, down, aria, from, left, rows, tips, lengths, counts,
    names, values: series.x, linear, logarithmic, ends, sides, ticks, back,
    data: csv(of('errors')), tools: all('#tools button').map((b) => b.textContent),
    figures: all('figure svg').length};
};

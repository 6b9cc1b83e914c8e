'use strict';
const KINDS = ['condition', 'remedy', 'repeat'];
const all = (selector, root = document) => Array.from(root.querySelectorAll(selector));
const make = (tag, properties, ...children) => {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
};
const bar = document.getElementById('source');

const copy = async (what, text) => {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // Where a page may not, as in some frames: as browsers have done it for long.
    const area = make('textarea', {value: text});
    document.body.append(area);
    area.select();
    document.execCommand('copy');
    area.remove();
  }
  bar.textContent = `${what} copied.`;
};

// --- Tables: sorted by their headings, filtered by what is typed, cells that say where they are from

const sort = (header) => {
  const table = header.closest('table'), i = header.cellIndex;
  const down = header.getAttribute('aria-sort') === 'ascending';
  for (const other of header.parentNode.cells) other.removeAttribute('aria-sort');
  header.setAttribute('aria-sort', down ? 'descending' : 'ascending');
  const key = (row) => row.cells[i].dataset.key ?? row.cells[i].textContent.trim();
  const order = (a, b) => {
    const x = key(a), y = key(b), p = Number(x), q = Number(y);
    const numeric = x !== '' && y !== '' && !Number.isNaN(p) && !Number.isNaN(q);
    // What has no value goes last, whichever way one sorts.
    if (x === '' || y === '') return (x === '') - (y === '');
    const difference = numeric ? p - q : x.localeCompare(y, 'en', {numeric: true});
    return down ? -difference : difference;
  };
  const body = table.tBodies[0];
  body.append(...Array.from(body.rows).sort(order));
};
const filter = (input) => {
  const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
  const rows = Array.from(input.closest('details').querySelector('tbody').rows);
  for (const row of rows) {
    const text = row.textContent.replaceAll('\u00a0', ' ').toLowerCase();
    row.hidden = !words.every((word) => text.includes(word));
  }
  const left = rows.filter((row) => !row.hidden).length;
  input.nextElementSibling.textContent = words.length ? `${left} of ${rows.length} rows` : '';
};
const opened = (details) => {
  const table = details.querySelector('table');
  if (!table || details.querySelector('input')) return;
  const first = table.querySelector('td[data-from]');
  if (first) first.tabIndex = 0;
  if (table.tBodies[0].rows.length < 8) return;
  const input = make('input', {type: 'search', placeholder: 'filter rows'});
  input.setAttribute('aria-label', `Filter rows of: ${details.firstElementChild.textContent}`);
  const line = make('p', {className: 'filter'}, input, make('span', {className: 'muted'}));
  details.firstElementChild.after(line);
};
const source = (cell) => {
  const list = cell.closest('details').querySelector('.sources ol');
  return list.children[cell.dataset.from].textContent;
};
const step = (cell, key) => {
  const row = cell.parentNode, beside = (r) => r && r.cells[cell.cellIndex];
  const next = {
    ArrowLeft: () => cell.previousElementSibling,
    ArrowRight: () => cell.nextElementSibling,
    ArrowUp: () => beside(row.previousElementSibling),
    ArrowDown: () => beside(row.nextElementSibling),
  }[key];
  const to = next && next();
  if (to) {
    to.tabIndex = 0;
    cell.tabIndex = -1;
    to.focus();
  }
  return Boolean(to);
};

document.addEventListener('click', (event) => {
  const header = event.target.closest('th');
  const cell = event.target.closest('td[data-from]');
  if (header) sort(header);
  bar.textContent = cell ? source(cell) : '';
  if (!event.target.closest('svg')) unpoint();
});
document.addEventListener('focusin', (event) => {
  if (event.target.matches('td[data-from]')) bar.textContent = source(event.target);
});
document.addEventListener('pointerover', (event) => {
  const cell = event.target.closest('td[data-from]');
  if (cell && !cell.title) cell.title = source(cell);
});
document.addEventListener('keydown', (event) => {
  if (event.target.matches('td') && step(event.target, event.key)) event.preventDefault();
});
document.addEventListener('input', (event) => {
  if (event.target.type === 'search') filter(event.target);
});
document.addEventListener('toggle', (event) => {
  if (event.target.open) opened(event.target);
}, true);

// --- Figures: their panels and marks, as `marks.describe` says of them

const place = (axis) => {
  const f = axis.log ? Math.log : Number, [a, b] = axis.ends.map(f), [p, q] = axis.places;
  // What a logarithmic axis has no place for goes far to the side of what is small.
  return (v) => (axis.log && v <= 0 ? p - 10 * (q - p) : p + ((q - p) * (f(v) - a)) / (b - a));
};
const value = (axis) => {
  const f = axis.log ? Math.log : Number, [a, b] = axis.ends.map(f), [p, q] = axis.places;
  return (at) => (axis.log ? Math.exp : Number)(a + ((b - a) * (at - p)) / (q - p));
};
const numbers = (text) => (text ? text.split(' ').map(Number) : []);
const said = (element) => {
  const of = {};
  for (const kind of KINDS) {
    const each = element.dataset[`${kind}s`], one = element.dataset[kind];
    if (each !== undefined) of[kind] = JSON.parse(each).map(String);
    else if (one !== undefined) of[kind] = one;
  }
  return of;
};
const at = (of, kind, i) => (Array.isArray(of[kind]) ? of[kind][i] : of[kind]);
const readSeries = (g) => ({
  g, kind: g.dataset.kind, label: g.dataset.label ?? '', of: said(g),
  x: numbers(g.dataset.x), y: numbers(g.dataset.y),
  // A line with marks on it has both; its marks are what is switched.
  elements: all('use', g).length ? all('use', g) : all(':scope > path', g),
});
const readPanel = (g) => ({
  g, title: g.dataset.title, of: said(g),
  x: JSON.parse(g.dataset.x), y: JSON.parse(g.dataset.y),
  drawn: {x: JSON.parse(g.dataset.x), y: JSON.parse(g.dataset.y)},
  series: all('[data-kind]', g).map(readSeries),
});
const figures = all('figure').map((element) => ({
  element, svg: element.querySelector('svg'), panels: all('[data-title]', element).map(readPanel),
}));

const shownNumber = (v) => Number(v.toPrecision(4)).toString();
const nearestName = (axis, v) => axis.names
  .reduce((best, name) => (Math.abs(name[0] - v) < Math.abs(best[0] - v) ? name : best))[1];
const reading = (axis, v) => (axis.names.length
  ? nearestName(axis, v)
  : `${axis.label ? `${axis.label}: ` : ''}${shownNumber(v)}`);

// --- What is under the pointer

const tip = make('div', {id: 'tip', hidden: true});
document.body.append(tip);
const interval = (panel, series, i) => {
  const close = (a, b) => Math.abs(a - b) <= 1e-5 * Math.max(Math.abs(a), Math.abs(b), 1e-9);
  const [x, y] = [series.x[i], series.y[i]];
  for (const other of panel.series) {
    if (other.kind !== 'intervals' || other.label !== series.label) continue;
    for (let k = 0; k + 1 < other.x.length; k += 2) {
      const alike = KINDS.every((kind) => kind === 'repeat'
        || at(other.of, kind, k / 2) === at(series.of, kind, i));
      if (!alike) continue;
      const [x0, x1] = other.x.slice(k, k + 2), [y0, y1] = other.y.slice(k, k + 2);
      if (close(y0, y) && close(y1, y) && x0 <= x && x <= x1) return [x0, x1];
      if (close(x0, x) && close(x1, x) && y0 <= y && y <= y1) return [y0, y1];
    }
  }
  return null;
};
const under = (figure, event) => {
  const barred = event.target.closest('[data-kind=bars]');
  const matrix = figure.svg.getScreenCTM();
  const pointer = new DOMPoint(event.clientX, event.clientY).matrixTransform(matrix.inverse());
  let best = {distance: 14 / matrix.a};
  for (const panel of figure.panels) {
    if (off(panel.of, 0)) continue;
    const [px, py] = [place(panel.x), place(panel.y)];
    const [[x0, x1], [y1, y0]] = [panel.x.places, panel.y.places];
    for (const series of panel.series) {
      if (series.g === barred) return {panel, series, i: 0, x: pointer.x, y: pointer.y};
      if (series.kind !== 'marks' && series.kind !== 'line') continue;
      series.x.forEach((v, i) => {
        if (off(series.of, i)) return;
        const x = px(v), y = py(series.y[i]);
        // What an axis leaves out would lie in another panel.
        if (x < x0 - 1 || x > x1 + 1 || y < y0 - 1 || y > y1 + 1) return;
        const distance = Math.hypot(x - pointer.x, y - pointer.y);
        if (distance < best.distance) best = {distance, panel, series, i, x, y};
      });
    }
  }
  return best.panel ? best : null;
};
const describe = ({panel, series, i}) => {
  const axes = [panel.x, panel.y].map((axis, k) => [axis, (k ? series.y : series.x)[i]]);
  axes.sort(([a], [b]) => b.names.length - a.names.length);
  const values = axes.map(([axis, v]) => reading(axis, v));
  const of = [at(series.of, 'condition', i), at(series.of, 'remedy', i), series.label];
  const who = of.filter((name, k) => name && of.indexOf(name) === k
    && !values.some((v) => v.startsWith(name)));
  const repeat = at(series.of, 'repeat', i), ends = interval(panel, series, i);
  const named = values.splice(0, axes.filter(([axis]) => axis.names.length).length);
  return [...who, ...named, ...(repeat === undefined ? [] : [`repeat ${repeat}`]), ...values,
    ...(ends ? [`interval: ${ends.map(shownNumber).join(' to ')}`] : [])];
};
const unpoint = () => {
  tip.hidden = true;
  all('.ring').forEach((ring) => ring.remove());
};
const hover = (figure, event) => {
  const found = under(figure, event);
  unpoint();
  if (!found) return;
  tip.hidden = false;
  tip.replaceChildren(...describe(found).map((line) => make('div', {textContent: line})));
  const {clientX: x, clientY: y} = event, {offsetWidth: w, offsetHeight: h} = tip;
  tip.style.left = `${Math.max(4, Math.min(x + 14, innerWidth - w - 4))}px`;
  tip.style.top = `${y + 18 + h > innerHeight ? y - h - 12 : y + 18}px`;
  const ring = document.createElementNS('http://www.w3.org/2000/svg', 'circle');
  for (const [key, v] of Object.entries({class: 'ring', cx: found.x, cy: found.y, r: 6})) {
    ring.setAttribute(key, v);
  }
  if (found.series.kind !== 'bars') figure.svg.append(ring);
};
for (const figure of figures) {
  const svg = figure.svg;
  for (const kind of ['pointermove', 'pointerdown']) {
    svg.addEventListener(kind, (event) => hover(figure, event));
  }
  svg.addEventListener('pointerleave', (event) => {
    // A finger that is lifted leaves, too; what it asked for stays to be read.
    if (event.pointerType !== 'touch') unpoint();
  });
}

// --- Conditions, remedies and repeats, switched on and off in all figures at once

const hidden = Object.fromEntries(KINDS.map((kind) => [kind, new Set()]));
const off = (of, i) => KINDS.some((kind) => hidden[kind].has(at(of, kind, i)));
const showAll = () => {
  for (const panel of figures.flatMap((figure) => figure.panels)) {
    panel.g.style.display = off(panel.of, 0) ? 'none' : '';
    for (const {g, of, elements} of panel.series) {
      const lists = KINDS.map((kind) => of[kind]).filter(Array.isArray);
      const count = lists.length ? lists[0].length : 1;
      const each = Array.from({length: count}, (_, i) => off(of, i));
      g.style.display = each.length && each.every(Boolean) ? 'none' : '';
      if (count === elements.length && lists.length) {
        elements.forEach((element, i) => { element.style.display = each[i] ? 'none' : ''; });
      }
    }
  }
};
const choices = (kind) => {
  const found = new Set();
  for (const {of} of figures.flatMap((f) => f.panels.flatMap((p) => [p, ...p.series]))) {
    [of[kind] ?? []].flat().forEach((name) => found.add(name));
  }
  return [...found];
};
const fieldset = (kind, title) => {
  const names = choices(kind);
  if (names.length < 2) return [];
  const boxes = names.map((name) => make('input', {type: 'checkbox', checked: true, value: name}));
  const changed = () => {
    hidden[kind] = new Set(boxes.filter((box) => !box.checked).map((box) => box.value));
    showAll();
  };
  const set = (checked) => () => {
    boxes.forEach((box) => { box.checked = checked; });
    changed();
  };
  const labels = boxes.map((box) => make('label', {}, box, ` ${box.value}`));
  const button = (text, checked) => {
    const made = make('button', {type: 'button', textContent: text, onclick: set(checked)});
    made.setAttribute('aria-label', `${title}: ${text}`);
    return made;
  };
  const group = make('fieldset', {}, make('legend', {textContent: title}),
    make('div', {className: 'choices'}, button('all', true), button('none', false), ...labels));
  group.addEventListener('change', changed);
  return [group];
};

// --- Linear and logarithmic axes

const warped = (d, move) => {
  let k = 0;
  return d.replace(/-?[\d.]+(?:e-?\d+)?/g, (text) => move(Number(text), k++ % 2));
};
const keep = (element, name) => {
  const key = `from${name}`;
  element.dataset[key] ??= element.getAttribute(name) ?? '';
  return element.dataset[key];
};
const ticksOf = (axis) => {
  const [low, high] = [...axis.ends].sort((a, b) => a - b);
  const found = [];
  if (axis.log) {
    const wide = high / low > 30;
    for (let e = Math.floor(Math.log10(low)); e <= Math.log10(high); e++) {
      for (const m of wide ? [1] : [1, 2, 5]) found.push(m * 10 ** e);
    }
  } else {
    const rough = (high - low) / 4, power = 10 ** Math.floor(Math.log10(rough));
    const width = [1, 2, 5, 10].map((m) => m * power).find((w) => w >= rough);
    for (let v = Math.ceil(low / width) * width; v <= high; v += width) found.push(v);
  }
  const inside = found.filter((v) => v >= low && v <= high);
  return inside.filter((_, i) => i % Math.ceil(inside.length / 6) === 0);
};
const drawTicks = (panel, which) => {
  const group = panel.g.querySelector(`:scope > [data-axis=${which}]`);
  all('.new', group).forEach((tick) => tick.remove());
  const old = all(':scope > [data-tick]', group), back = panel[which].log === panel.drawn[which].log;
  old.forEach((tick) => { tick.style.display = back ? '' : 'none'; });
  if (back || !old.length) return;
  const from = Number(old[0].querySelector('use').getAttribute(which));
  for (const v of ticksOf(panel[which])) {
    const tick = old[0].cloneNode(true), moved = place(panel[which])(v) - from;
    // Its parts are used elsewhere; a name is of one alone.
    all('[id]', tick).forEach((part) => part.removeAttribute('id'));
    tick.setAttribute('class', 'new');
    tick.style.display = '';
    tick.setAttribute('transform', `translate(${which === 'x' ? [moved, 0] : [0, moved]})`);
    all('text', tick).forEach((text) => { text.textContent = shownNumber(v); });
    group.append(tick);
  }
};
const redraw = (panel) => {
  const moves = ['x', 'y'].map((which) => {
    const from = value(panel.drawn[which]), to = place(panel[which]);
    if (panel[which].log === panel.drawn[which].log) return Number;
    return (p) => Math.max(-5000, Math.min(5000, to(from(p)))).toFixed(2);
  });
  const onEdge = (p, k) => panel.drawn['xy'[k]].places.some((edge) => Math.abs(p - edge) < 0.05);
  for (const path of all('[data-kind] > path, [data-kind] > g > path', panel.g)) {
    const guide = path.closest('[data-kind=guide]');
    const move = (p, k) => (guide && onEdge(p, k) ? p : moves[k](p));
    path.setAttribute('d', warped(keep(path, 'd'), move));
  }
  for (const path of all('[data-kind=band] defs path', panel.g)) {
    // An outline that stands elsewhere than where it is defined.
    const use = path.closest('[data-kind]').querySelector('use');
    const from = ['x', 'y'].map((name) => Number(use.getAttribute(name)));
    path.setAttribute('d', warped(keep(path, 'd'), (p, k) => moves[k](p + from[k]) - from[k]));
  }
  for (const use of all('[data-kind]:not([data-kind=band]) use', panel.g)) {
    use.setAttribute('x', moves[0](Number(keep(use, 'x'))));
    use.setAttribute('y', moves[1](Number(keep(use, 'y'))));
  }
  for (const text of all('[data-at]', panel.g)) {
    const [x, y] = numbers(text.dataset.at).map((v, k) => {
      const which = 'xy'[k];
      return place(panel[which])(v) - place(panel.drawn[which])(v);
    });
    text.setAttribute('transform', `translate(${x},${y})`);
  }
};
const held = (panel, which) => panel.series.flatMap((series) => series[which]);
// Panels that share an axis go on sharing it.
const alike = (figure, panel, which) => figure.panels.filter((other) =>
  String(other.drawn[which].ends) === String(panel.drawn[which].ends));
const mayChange = (figure, which) => figure.panels.filter((panel) => {
  const sharing = alike(figure, panel, which);
  const values = sharing.flatMap((other) => held(other, which));
  // Pictures are not of single values, and lengths of bars are compared from zero on.
  if (sharing.some(({g}) => g.querySelector('image, [data-kind=bars]'))) return false;
  if (panel.drawn[which].names.length || !values.length) return false;
  const low = Math.min(...values), high = Math.max(...values);
  return panel.drawn[which].log || (low > 0 && high > 3 * low);
});
const rescale = (figure, which) => {
  const panels = mayChange(figure, which);
  for (const panel of panels) {
    const drawn = panel.drawn[which], axis = panel[which];
    if (axis.log !== drawn.log) {
      panel[which] = drawn;
    } else {
      const values = alike(figure, panel, which).flatMap((other) => held(other, which));
      const [low, high] = [Math.min(...drawn.ends), Math.max(...drawn.ends)];
      const least = drawn.log ? 0 : Math.min(...values) / 1.15;
      const ends = drawn.ends[0] < drawn.ends[1] ? [least, high] : [high, least];
      panel[which] = {...drawn, log: !drawn.log, ends};
    }
  }
  for (const panel of panels) {
    redraw(panel);
    drawTicks(panel, which);
  }
  return panels[0][which].log;
};

// --- A figure's data

const quoted = (text) => (/[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : String(text));
const csv = (figure) => {
  const header = ['panel', 'kind', 'label', ...KINDS, 'x_axis', 'x', 'y_axis', 'y'];
  const rows = [];
  for (const panel of figure.panels) {
    for (const series of panel.series) {
      series.x.forEach((x, i) => {
        const k = series.kind === 'intervals' ? Math.floor(i / 2) : i;
        const named = (axis, v) => (axis.names.length ? nearestName(axis, v) : v);
        rows.push([panel.title, series.kind, series.label,
          ...KINDS.map((kind) => at(series.of, kind, k) ?? at(panel.of, kind, 0) ?? ''),
          panel.x.label, named(panel.x, x), panel.y.label, named(panel.y, series.y[i])]);
      });
    }
  }
  const kept = header.map((_, k) => rows.some((row) => row[k] !== ''));
  return [header, ...rows].map((row) => row.filter((_, k) => kept[k]).map(quoted).join(','))
    .join('\n');
};
for (const figure of figures) {
  const title = figure.svg.getAttribute('aria-label');
  const name = (button, text) => {
    button.textContent = text;
    button.setAttribute('aria-label', `${text}: ${title}`);
  };
  const button = (text, act) => {
    const made = make('button', {type: 'button'});
    name(made, text);
    made.addEventListener('click', (event) => {
      event.stopPropagation();
      act(made);
    });
    return made;
  };
  const buttons = ['x', 'y']
    .filter((which) => mayChange(figure, which).length)
    .map((which) => {
      const text = (log) => `${which} ${log ? 'linear' : 'logarithmic'}`;
      return button(text(mayChange(figure, which)[0].drawn[which].log), (made) => name(made, text(rescale(figure, which))));
    });
  if (figure.panels.some((panel) => held(panel, 'x').length)) {
    buttons.push(button('copy data', () => copy('Data (CSV)', csv(figure))));
  }
  if (buttons.length) figure.element.append(make('div', {className: 'buttons'}, ...buttons));
}

// --- Above all sections

const unfold = make('button', {type: 'button', textContent: 'unfold all'});
unfold.addEventListener('click', () => {
  const open = unfold.textContent === 'unfold all';
  all('main details').forEach((details) => { details.open = open; });
  unfold.textContent = open ? 'fold all' : 'unfold all';
});
const copies = all('pre.copy').map((pre) => {
  const what = pre.getAttribute('aria-label');
  const button = make('button', {type: 'button', textContent: `copy ${what.toLowerCase()}`});
  button.addEventListener('click', (event) => {
    event.stopPropagation();
    copy(what, pre.textContent);
  });
  return button;
});
const sets = [...fieldset('condition', 'Conditions'), ...fieldset('remedy', 'Remedies'),
  ...fieldset('repeat', 'Repeats')];
const note = 'Means, intervals and tests stay those of all repeats.';
const switches = make('details', {}, make('summary', {textContent: 'show in figures'}),
  make('div', {className: 'sets'}, ...sets, make('p', {className: 'notes', textContent: note})));
const tools = make('div', {id: 'tools'}, ...(sets.length ? [switches] : []), unfold, ...copies);
document.querySelector('main').before(tools);

// A link to what is folded unfolds it.
const reveal = () => {
  const target = document.querySelector(':target');
  let details = target?.closest('details');
  while (details) {
    details.open = true;
    details = details.parentElement.closest('details');
  }
  target?.scrollIntoView();
};
addEventListener('hashchange', reveal);
if (location.hash) reveal();

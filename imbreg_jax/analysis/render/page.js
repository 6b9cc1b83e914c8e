'use strict';
for (const table of document.querySelectorAll('table.sortable')) {
  const headers = Array.from(table.tHead.rows[0].cells);
  const key = (row, i) => row.cells[i].dataset.key ?? row.cells[i].textContent.trim();
  headers.forEach((header, i) => header.firstElementChild.addEventListener('click', () => {
    const down = header.getAttribute('aria-sort') === 'ascending';
    headers.forEach((other) => other.removeAttribute('aria-sort'));
    header.setAttribute('aria-sort', down ? 'descending' : 'ascending');
    const order = (a, b) => {
      const x = key(a, i), y = key(b, i), p = Number(x), q = Number(y);
      const numeric = x !== '' && y !== '' && !Number.isNaN(p) && !Number.isNaN(q);
      // What has no value goes last, whichever way one sorts.
      if (x === '' || y === '') return (x === '') - (y === '');
      const difference = numeric ? p - q : x.localeCompare(y, 'en', {numeric: true});
      return down ? -difference : difference;
    };
    const body = table.tBodies[0];
    body.append(...Array.from(body.rows).sort(order));
  }));
}
const bar = document.getElementById('source');
const show = (event) => {
  const cell = event.target.closest && event.target.closest('td[title]');
  bar.textContent = cell ? cell.title : '';
};
document.addEventListener('click', show);
document.addEventListener('focusin', show);
addEventListener('beforeprint', () => {
  for (const details of document.querySelectorAll('details:not(.long)')) details.open = true;
});

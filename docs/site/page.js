// What pages do: the theme, the menu on narrow screens, the search, filters of long tables, copying code.
'use strict';
const root = document.body.dataset.root;

document.querySelector('.theme-button').addEventListener('click', () => {
  const html = document.documentElement;
  const dark = html.dataset.theme ? html.dataset.theme === 'dark'
    : matchMedia('(prefers-color-scheme: dark)').matches;
  html.dataset.theme = dark ? 'light' : 'dark';
  try { localStorage.setItem('theme', html.dataset.theme); } catch { /* a browser that stores nothing */ }
});

const menuButton = document.querySelector('.menu-button');
menuButton.addEventListener('click', () => {
  const open = document.body.classList.toggle('menu-open');
  menuButton.setAttribute('aria-expanded', open);
});
const current = document.querySelector('#menu [aria-current]');
if (current && innerWidth > 832) current.scrollIntoView({block: 'nearest'});

// Search: every word of the question has to occur; titles count more than text, beginnings more than middles.
const field = document.getElementById('search');
const found = document.getElementById('found');
let loading = null;
function index() {
  loading ||= new Promise((done) => {
    const script = document.createElement('script');
    script.src = root + 'search.js';
    script.onload = () => done(window.searchIndex.map((e) => [...e, e[0].toLowerCase(), e[3].toLowerCase()]));
    document.head.append(script);
  });
  return loading;
}
function score([, , , , title, text], words) {
  let sum = 0;
  for (const word of words) {
    const inTitle = title.indexOf(word);
    if (inTitle >= 0) sum += title === word ? 100 : inTitle === 0 ? 40 : 20;
    else if (text.includes(word)) sum += 2;
    else return 0;
  }
  return sum - title.length / 100;
}
function excerpt(text, word) {
  const at = text.toLowerCase().indexOf(word);
  const from = Math.max(0, at - 40);
  return (from ? '…' : '') + text.slice(from, from + 130);
}
async function search() {
  const words = field.value.toLowerCase().split(/[\s:]+/).filter(Boolean);
  if (!words.length) return close();
  const hits = (await index()).map((e) => [score(e, words), e]).filter(([s]) => s > 0)
    .sort((a, b) => b[0] - a[0]).slice(0, 12);
  found.replaceChildren(...hits.map(([, [title, where, address, text]]) => {
    const item = document.createElement('li');
    const link = document.createElement('a');
    link.href = root + address;
    link.setAttribute('role', 'option');
    for (const [kind, value] of [['b', title], ['i', where], ['span', excerpt(text, words[0])]]) {
      const part = document.createElement(kind);
      part.textContent = value;
      link.append(part);
    }
    item.append(link);
    return item;
  }));
  if (!hits.length) found.innerHTML = '<li class="nothing">Nothing found.</li>';
  found.hidden = false;
  field.setAttribute('aria-expanded', 'true');
}
function close() {
  found.hidden = true;
  field.setAttribute('aria-expanded', 'false');
}
field.addEventListener('input', search);
field.addEventListener('focus', () => { index(); if (field.value) search(); });
document.addEventListener('click', (event) => { if (!event.target.closest('.search')) close(); });
document.addEventListener('keydown', (event) => {
  if (event.key === '/' && !/INPUT|TEXTAREA/.test(document.activeElement.tagName)) {
    event.preventDefault();
    field.focus();
  }
  if (event.key === 'Escape') { close(); field.blur(); }
  if (!found.hidden && ['ArrowDown', 'ArrowUp', 'Enter'].includes(event.key)) {
    const links = [...found.querySelectorAll('a')];
    const at = links.indexOf(document.activeElement);
    if (event.key === 'Enter') {
      if (at < 0 && links[0]) links[0].click();
      return;
    }
    event.preventDefault();
    const next = at + (event.key === 'ArrowDown' ? 1 : -1);
    (links[next] || field).focus();
  }
});

// A filter above every long table.
for (const table of document.querySelectorAll('article table:not(.rows):not(.headers)')) {
  const rows = [...table.querySelectorAll('tbody tr')];
  if (rows.length < 20) continue;
  const filter = document.createElement('input');
  filter.type = 'search';
  filter.className = 'filter';
  filter.placeholder = `Filter ${rows.length} rows`;
  filter.setAttribute('aria-label', 'Filter the rows of the table');
  filter.addEventListener('input', () => {
    const words = filter.value.toLowerCase().split(/\s+/);
    for (const row of rows) row.hidden = !words.every((w) => row.textContent.toLowerCase().includes(w));
  });
  table.closest('.scroll').before(filter);
}

// Wide tables of names become cards on a phone: each cell says its column.
for (const table of document.querySelectorAll('main.wide table')) {
  const columns = [...table.querySelectorAll('th')].map((th) => th.textContent);
  for (const row of table.querySelectorAll('tbody tr')) {
    [...row.cells].forEach((cell, i) => {
      cell.dataset.column = columns[i] || '';
      if (cell.textContent.trim() === '—') cell.classList.add('none');
    });
  }
}

for (const block of document.querySelectorAll('pre.code')) {
  const button = document.createElement('button');
  button.className = 'copy';
  button.textContent = 'copy';
  button.addEventListener('click', async () => {
    await navigator.clipboard.writeText(block.querySelector('code').textContent);
    button.textContent = 'copied';
    setTimeout(() => { button.textContent = 'copy'; }, 1500);
  });
  block.append(button);
}

// Marks the section in sight in the list beside the text.
const marks = new Map([...document.querySelectorAll('.contents a')].map((a) => [a.getAttribute('href').slice(1), a]));
const seen = new IntersectionObserver((entries) => {
  for (const entry of entries) {
    if (!entry.isIntersecting) continue;
    for (const a of marks.values()) a.classList.remove('now');
    marks.get(entry.target.id)?.classList.add('now');
  }
}, {rootMargin: '-10% 0px -75% 0px'});
for (const name of marks.keys()) {
  const target = document.getElementById(name);
  if (target) seen.observe(target);
}

// The dashboard: snapshots come by stream.js, and the panels show them.

import {$, put, reachable} from './table.js';
import {clock} from './format.js';
import {follow} from './stream.js';
import {judge} from './health.js';
import {Chart} from './chart.js';
import {Actions, may, permit} from './actions.js';
import * as panels from './panels.js';

// The page may be asked for with a slash at its end or without; this script lies in
// page/ below it either way.
const base = new URL('../', import.meta.url);

const actions = new Actions(base);
const chart = new Chart();
const lists = new panels.Lists(may, job => actions.warm(job));
let last = null, link = 'connecting', word = '';

// A screen reader hears of changes of the state and of the link, not of figures.
const announce = text => put($('announce'), text);

function verdict(s) {
  const {level, word: now, why} = judge(s);
  $('health').dataset.level = level;
  put($('status-word'), now);
  put($('why'), why);
  document.title = now + ' · Cache';
  if (now !== word) announce('Status: ' + now + '. ' + why);
  word = now;
}

function render() {
  if (!last || document.hidden) return;
  verdict(last);
  permit(last.allowed ?? []);
  for (const show of [panels.facts, panels.advice, panels.rates, panels.latencies, panels.saved, panels.missed, panels.redis, panels.memory]) show(last);
  lists.update(last);
  chart.draw();
  const date = new Date(last.at);
  put($('taken'), 'Figures of ' + date.toLocaleDateString('en-GB', {day: 'numeric', month: 'long', year: 'numeric'}) + ', ' + clock(date) + '. The chart begins when this page was opened, and goes back 15 minutes at most.');
}

function snapshot(s) {
  const rates = (s.windows ?? []).find(w => w.name === 'now')?.perSecond;
  if (rates) chart.add(Date.parse(s.at) / 1e3, rates);
  last = s;
  render();
}

function state(kind, seconds) {
  const since = last ? ', figures of ' + clock(new Date(last.at)) : '';
  put($('link-text'), {
    live: 'live',
    polled: 'no stream, read every few seconds',
    lost: 'connection lost, retrying' + since,
  }[kind]);
  if (kind === link) return;
  if (kind === 'lost') {
    chart.gap();
    announce('Connection lost, retrying.');
  } else if (link === 'lost') {
    announce('Connected again. Status: ' + word + '.');
  }
  link = kind;
  $('link').dataset.state = kind;
  document.body.classList.toggle('stale', kind === 'lost');
}

document.addEventListener('visibilitychange', render);
reachable();
follow(base, snapshot, state);

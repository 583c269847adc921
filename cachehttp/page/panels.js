// The panels of figures.

import {$, Table, el, matrix, put} from './table.js';
import {NONE, ago, bytes, count, duration, isSet, measured, name, percent, until} from './format.js';
import {reads} from './health.js';

const NAMES = {now: 'Now', '1m': '1 min', '15m': '15 min'};
const window = (s, name) => (s.windows ?? []).find(w => w.name === name);
const mono = text => el('bdi', {class: 'mono'}, text);

// once fills a cell whose nodes depend on text alone, when that changes.
function once(cell, text, ...nodes) {
  if (cell.dataset.text === text) return;
  cell.dataset.text = text;
  cell.replaceChildren(...nodes);
}

function bar(cell, share, text) {
  if (!cell.firstChild) cell.append(el('span', {class: 'bar', 'aria-hidden': 'true'}), el('span'));
  cell.firstChild.style.setProperty('--share', Math.min(100, Math.max(0, share)) + '%');
  put(cell.lastChild, text);
}

export function facts(s) {
  const minute = window(s, '1m'), quarter = window(s, '15m'), now = window(s, 'now');
  put($('fact-rate'), minute && reads(minute) > 0 ? percent(minute.hitRate) : NONE);
  put($('fact-reads'), now ? count(reads(now)) : NONE);
  put($('fact-ping'), s.redis.mode === 'memory' ? 'no Redis' : s.redis.connected ? measured(s.redis.pingMs) : 'does not');
  put($('fact-saved'), quarter ? duration(quarter.timeSaved) : NONE);
  put($('mode'), {memory: 'memory only', single: 'memory and one Redis', sentinel: 'memory and Redis, by Sentinel', cluster: 'memory and a Redis Cluster'}[s.redis.mode] ?? s.redis.mode);
}

export function advice(s) {
  const items = s.recommendations ?? [];
  const list = $('advice');
  const text = JSON.stringify(items);
  if (list.dataset.text !== text) {
    list.dataset.text = text;
    list.replaceChildren(...items.map(r => {
      const source = el('p', {class: 'quiet'});
      if (r.cache) source.append('Cache ', mono(name(r.cache)), r.option ? ', ' : '');
      if (r.option) source.append('change ', mono(name(r.option)));
      const item = el('li', {}, el('p', {}, name(r.text, 600)));
      if (source.hasChildNodes()) item.append(source);
      item.dataset.rule = r.rule;
      return item;
    }));
  }
  list.hidden = items.length === 0;
  $('advice-none').hidden = items.length > 0;
  put($('advice-none'), s.performance.recommendation ? name(s.performance.recommendation, 600) : 'Nothing to recommend.');
}

export function rates(s) {
  const shown = ['now', '1m', '15m'].map(n => window(s, n)).filter(Boolean);
  const figure = pick => shown.map(w => reads(w) > 0 ? percent(pick(w)) : NONE);
  matrix($('rate'), 'Hit rate by tier', shown.map(w => NAMES[w.name]), [
    ['Both tiers', ...figure(w => w.hitRate)],
    ['Memory', ...figure(w => w.memoryRate)],
    ['Redis', ...figure(w => w.redisRate)],
  ]);
}

export function latencies(s) {
  const w = window(s, '1m');
  const line = (label, t) => [label, ...(t ? [t.p50, t.p95, t.p99].map(measured) : [NONE, NONE, NONE])];
  matrix($('latency'), 'Latency by what answered', ['p50', 'p95', 'p99'], [
    line('Memory', w?.memoryTime), line('Redis', w?.redisTime), line('Load', w?.loadTime),
  ]);
}

export function saved(s) {
  const of = [window(s, '1m'), window(s, '15m'), s.total];
  const line = (label, pick) => [label, ...of.map(x => x ? pick(x) : NONE)];
  matrix($('saved'), 'Loads and source time saved', ['1 min', '15 min', 'Since start'], [
    line('Loads run', x => count(x.loads)),
    line('Loads saved', x => count(x.loadsSaved)),
    line('Source time saved', x => duration(x.timeSaved)),
  ]);
}

export function missed(s) {
  const m = s.total.misses;
  const all = m.cold + m.expired + m.invalidated + m.evicted + m.refused;
  const line = (label, n) => [label, count(n), all > 0 ? percent(100 * n / all) : NONE];
  matrix($('missed'), 'Misses by cause', ['Reads', 'Share'], [
    line('Not asked for before', m.cold), line('Expired', m.expired), line('Invalidated', m.invalidated),
    line('Evicted', m.evicted), line('Not stored', m.refused),
  ]);
}

export function redis(s) {
  const masters = s.masters ?? [];
  const heads = masters.length === 0 ? [''] : masters.map(m => name(m.addr, 48));
  const line = (label, pick) => [label, ...masters.map(pick)];
  matrix($('redis'), 'State of each Redis master', heads, masters.length === 0 ? [['Redis', s.redis.mode === 'memory' ? 'none is used' : 'not known yet']] : [
    line('Connection', m => m.connected ? 'connected' : 'lost'),
    line('Circuit', m => ({closed: 'closed, in use', open: 'open, out of use', 'read-only': 'in use, read only', replaying: 'replaying'})[m.state] ?? m.state),
    line('Answers in', m => measured(m.pingMs)),
    line('Tried again in', m => measured(m.nextProbeMs)),
    line('Went out of use', m => times(m.opens)),
    line('Connections', m => count(m.pool.total) + ', ' + count(m.pool.idle) + ' idle'),
    line('Waits for one in vain', m => times(m.pool.timeouts)),
  ]);
  put($('queued'), masters.length === 0 ? '' : s.queued > 0 ? count(s.queued) + ' invalidations wait for Redis.' : 'No invalidation waits for Redis.');
  matrix($('hearing'), 'How changes by others are heard', heads, masters.length === 0 ? [['Hearing', 'not needed']] : [
    line('Hears by', m => ({tracking: 'tracking', pubsub: 'Pub/Sub', none: 'nothing', connecting: 'connecting'})[m.hearing] ?? m.hearing),
    line('Memory is', m => m.fresh ? 'trusted' : 'not trusted'),
    line('Last vouched for', m => m.lagMs > 0 ? duration(m.lagMs) + ' ago' : NONE),
    line('Hearing lost', m => times(m.losses)),
    line('Epoch', m => count(m.epoch)),
  ]);
}

const times = n => n === 0 ? 'never' : n === 1 ? 'once' : count(n) + '\u00a0times';

export function memory(s) {
  const {entries, bytes: used, budget, evictions} = s.memory;
  const share = budget > 0 ? 100 * used / budget : 0;
  $('memory-meter').firstElementChild.style.setProperty('--share', Math.min(100, share) + '%');
  matrix($('memory'), 'Memory tier', [''], [
    ['Used', bytes(used) + (budget > 0 ? ' of ' + bytes(budget) : '')],
    ['Share of the budget', budget > 0 ? percent(share) : NONE],
    ['Entries', count(entries)],
    ['Evicted since start', count(evictions)],
  ]);
}

const number = (title, pick, text = count) => ({title, num: true, sort: pick, text: row => text(pick(row))});

export class Lists {
  constructor(allowed, run) {
    this.caches = new Table($('caches'), 'Caches', [
      {title: 'Cache', head: true, sort: row => row.name, fill: (cell, row) => once(cell, row.name, mono(name(row.name)))},
      number('Reads', row => row.operations),
      {title: 'Hit rate', num: true, sort: row => row.operations > 0 ? row.hitRate : -1, fill: (cell, row) => bar(cell, row.hitRate, row.operations > 0 ? percent(row.hitRate) : NONE)},
      number('Memory hits', row => row.memoryHits),
      number('Redis hits', row => row.redisHits),
      number('Stale', row => row.staleHits),
      number('Absent', row => row.absentHits),
      number('Loads', row => row.loads),
      number('Failed', row => row.loadErrors),
      number('Load p95', row => row.loadTime.p95, measured),
      number('Time saved', row => row.timeSaved, duration),
      number('Cold', row => row.misses.cold),
      number('Expired', row => row.misses.expired),
      number('Invalidated', row => row.misses.invalidated),
      number('Evicted', row => row.misses.evicted),
      number('Not stored', row => row.misses.refused),
      number('Entries', row => row.entries),
      number('Bytes', row => row.bytes, bytes),
      number('Evictions', row => row.evictions),
    ], {key: row => row.name, empty: 'There are no caches yet.', sort: 1});

    this.hot = new Table($('hot'), 'Hottest keys', [
      {title: 'Key', head: true, class: 'key', fill: (cell, row) => once(cell, row.key, mono(name(row.key)))},
      {title: 'Cache', fill: (cell, row) => once(cell, row.cache, mono(name(row.cache)))},
      {title: 'Share of reads', num: true, fill: (cell, row) => bar(cell, row.share, percent(row.share))},
    ], {key: (row, i) => i, empty: 'No key stands out.'});

    this.recent = new Table($('recent'), 'Recent invalidations', [
      {title: 'When', text: row => ago(row.at, this.now)},
      {title: 'What', text: row => (row.expire ? 'expire ' : '') + row.kind},
      {title: 'Target', head: true, class: 'key', fill: (cell, row) => {
        const more = row.count > 1 ? ' and ' + count(row.count - 1) + ' more' : '';
        once(cell, row.target + more, mono(name(row.target)), more);
      }},
      {title: 'Removed', num: true, text: row => row.heard ? NONE : count(row.keys)},
      {title: 'From', text: row => row.heard ? 'another process' : 'this process'},
      {title: 'State', text: row => row.queued ? 'waits for Redis' : 'done'},
    ], {key: (row, i) => i, empty: 'Nothing was invalidated lately.'});

    this.jobs = new Table($('jobs'), 'Warm jobs', [
      {title: 'Job', head: true, fill: (cell, row) => once(cell, row.name, mono(name(row.name)))},
      {title: 'State', text: row => row.running ? 'running' : row.idle ? 'rests: nobody reads' : 'waits'},
      {title: 'Progress', class: 'progress', fill: progress},
      {title: 'Next run', text: row => row.running || !isSet(row.next) ? NONE : until(row.next, this.now)},
      {title: 'Last ended', text: row => isSet(row.ended) ? ago(row.ended, this.now) : NONE},
      {title: 'Runs', num: true, text: row => count(row.runs)},
      {title: 'Last error', class: 'key', fill: (cell, row) => once(cell, row.error ?? '', row.error ? mono(name(row.error, 300)) : NONE)},
      {label: 'Run', fill: (cell, row) => {
        cell.hidden = !allowed('warm');
        if (!cell.firstChild) {
          const button = el('button', {type: 'button', 'aria-label': 'Run ' + name(row.name)}, 'Run…');
          button.addEventListener('click', () => run(row.name));
          cell.append(button);
        }
        cell.firstChild.disabled = row.running;
      }},
    ], {key: row => row.name, empty: 'There are no warm jobs.'});
  }

  update(s) {
    this.now = Date.parse(s.at);
    this.caches.update(s.caches ?? []);
    this.hot.update(s.hot ?? []);
    this.recent.update(s.invalidations ?? []);
    this.jobs.update(s.jobs ?? []);
  }
}

function progress(cell, row) {
  if (!cell.firstChild) cell.append(el('progress', {'aria-label': 'Progress of ' + name(row.name)}), el('span'));
  const [gauge, text] = cell.children;
  const past = row.done + row.failed;
  if (row.total > 0) {
    gauge.max = row.total;
    gauge.value = past;
  } else if (row.running) {
    gauge.removeAttribute('value'); // the keys are being asked for
  } else {
    gauge.value = 0;
  }
  const parts = [count(past) + ' of ' + count(row.total)];
  if (row.failed > 0) parts.push(count(row.failed) + ' failed');
  if (row.running && row.etaMs > 0) parts.push(duration(Math.ceil(row.etaMs / 1e3) * 1e3) + ' left');
  put(text, row.total > 0 ? parts.join(', ') : row.running ? 'asking for the keys' : 'has not run');
}

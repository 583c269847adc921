// The chart of requests per second, and its figures as a table. Its history lives in
// this page: it begins when the page is opened.

import {$, Table, put} from './table.js';
import {clock, perSecond} from './format.js';

const SPAN = 15 * 60; // seconds of history
const LEAST = 60; // seconds shown at least

export class Chart {
  constructor() {
    this.points = []; // [seconds, memory, redis, load], the last three null where the link was lost
    this.hovered = null;
    this.box = $('chart');
    const figure = i => ({num: true, text: row => perSecond(row[i])});
    this.table = new Table($('chart-table'), 'Requests per second, means of each minute', [
      {title: 'Time', head: true, text: row => row[0]},
      {title: 'Memory', ...figure(1)}, {title: 'Redis', ...figure(2)}, {title: 'Load', ...figure(3)},
    ], {key: row => row[0], empty: 'No figures yet.'});
    this.#build();
    new ResizeObserver(() => this.#size()).observe(this.box);
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => this.#build());
    $('chart-details').addEventListener('toggle', () => this.#tabulate());
  }

  add(at, rates) {
    const last = this.points.at(-1);
    if (last && at <= last[0]) return;
    this.points.push([at, rates.memory, rates.redis, rates.load]);
    while (this.points[0][0] < at - SPAN) this.points.shift();
  }

  // gap ends the line: what came before it and what comes after are not joined.
  gap() {
    const last = this.points.at(-1);
    if (last && last[1] !== null) this.points.push([last[0] + 0.001, null, null, null]);
  }

  draw() {
    this.plot.setData(this.#data(), false);
    const end = this.points.at(-1)?.[0] ?? Date.now() / 1e3;
    const start = Math.min(this.points[0]?.[0] ?? end, end - LEAST);
    const top = Math.max(1, ...this.points.map(p => p[1] + p[2] + p[3]));
    this.plot.batch(() => {
      this.plot.setScale('x', {min: start, max: end});
      this.plot.setScale('y', {min: 0, max: top * 1.1});
    });
    this.#legend();
    this.#tabulate();
  }

  // The areas lie behind one another, the tallest first: all, memory and Redis, memory.
  #data() {
    const sum = n => this.points.map(p => p[1] === null ? null : p[1] + (n > 1 ? p[2] : 0) + (n > 2 ? p[3] : 0));
    return [this.points.map(p => p[0]), sum(3), sum(2), sum(1)];
  }

  #build() {
    this.plot?.destroy();
    const style = getComputedStyle(document.documentElement);
    const colour = name => style.getPropertyValue('--' + name).trim();
    const area = name => ({stroke: colour(name), fill: colour(name), width: 1, points: {show: false}});
    const axis = {stroke: colour('quiet'), font: '12px ' + getComputedStyle(document.body).fontFamily, grid: {stroke: colour('line'), width: 1}, ticks: {show: false}};
    this.plot = new uPlot({
      width: this.#width(), height: 220,
      legend: {show: false},
      cursor: {y: false, points: {show: false}, drag: {setScale: false, x: false}},
      scales: {x: {time: true, auto: false}, y: {auto: false}},
      series: [{}, area('load'), area('redis'), area('memory')],
      axes: [
        {...axis, space: 80, values: (_, splits, __, ___, step) => splits.map(t => step < 60 ? clock(new Date(t * 1e3)) : clock(new Date(t * 1e3)).slice(0, 5))},
        {...axis, size: 48, values: (_, splits) => splits.map(v => perSecond(v))},
      ],
      hooks: {setCursor: [plot => {
        this.hovered = plot.cursor.idx ?? null;
        this.#legend();
      }]},
    }, this.#data(), this.box);
    this.draw();
  }

  #width() {
    return Math.max(200, this.box.clientWidth);
  }

  #size() {
    this.plot.setSize({width: this.#width(), height: 220});
  }

  #legend() {
    const hovered = this.points[this.hovered];
    const point = hovered?.[1] != null ? hovered : this.points.at(-1);
    if (!point || point[1] === null) return;
    ['memory', 'redis', 'load'].forEach((tier, i) => put($('at-' + tier), perSecond(point[i + 1])));
    put($('at-time'), point === hovered ? 'at ' + clock(new Date(point[0] * 1e3)) : '');
  }

  #tabulate() {
    if (!$('chart-details').open) return;
    const minutes = new Map();
    for (const [at, ...rates] of this.points) {
      if (rates[0] === null) continue;
      const minute = Math.floor(at / 60) * 60;
      const sums = minutes.get(minute) ?? [0, 0, 0, 0];
      minutes.set(minute, [sums[0] + 1, sums[1] + rates[0], sums[2] + rates[1], sums[3] + rates[2]]);
    }
    this.table.update(Array.from(minutes, ([minute, [n, ...sums]]) => [clock(new Date(minute * 1e3)).slice(0, 5), ...sums.map(s => s / n)]).reverse());
  }
}

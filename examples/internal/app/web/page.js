"use strict";

const presses = 5; // of the cache, for one of the database
const table = document.getElementById("routes");
const said = document.getElementById("said");
const compare = table.dataset.compare === "true";
const sides = [];
if (compare || table.dataset.cache === "false") sides.push({ name: "database", times: 1, headers: compare ? { "X-Cache": "off" } : {} });
if (table.dataset.cache === "true") sides.push({ name: "cache", times: presses, headers: {} });

const rows = [...table.tBodies[0].rows].map((tr) => {
  const row = { path: tr.dataset.path, name: tr.cells[0].firstChild.textContent.trim(), cells: [], runs: sides.map(() => []) };
  for (let i = 0; i < sides.length + (compare ? 1 : 0); i++) row.cells.push(tr.insertCell());
  row.cells.forEach((cell) => { cell.textContent = "–"; });
  tr.querySelector("button").addEventListener("click", () => measure([row]));
  return row;
});
document.getElementById("all").addEventListener("click", () => measure(rows));

// One after the other, so that nothing measured waits for something else measured.
async function measure(some) {
  const buttons = document.querySelectorAll("main button");
  const pressed = document.activeElement; // a button that is disabled loses the focus
  buttons.forEach((b) => { b.disabled = true; });
  const told = [];
  for (const row of some) told.push(await ask(row));
  buttons.forEach((b) => { b.disabled = false; });
  pressed.focus();
  said.textContent = told.join(" ");
}

async function ask(row) {
  try {
    for (const [i, side] of sides.entries()) {
      row.cells[i].textContent = "…";
      for (let n = 0; n < side.times; n++) row.runs[i].push(await once(row.path, side.headers));
      show(row.cells[i], row.runs[i]);
    }
  } catch (problem) {
    row.cells.forEach((cell) => { cell.textContent = "–"; });
    const text = line(problem.message, "failed");
    row.cells[0].replaceChildren(text);
    return `${row.name}: ${problem.message}.`;
  }
  const [first, second] = row.runs.map((runs) => median(runs, "server"));
  if (!compare) return `${row.name}: ${ms(first)} ms in the server.`;
  const times = Math.max(1, first / Math.max(second, 0.001));
  row.cells[2].replaceChildren(line(`${round(times)}×`, "faster"));
  return `${row.name}: ${ms(first)} ms from the database, ${ms(second)} ms through the cache, ${round(times)} times as fast.`;
}

async function once(path, headers) {
  const began = performance.now();
  const answer = await fetch(path, { headers, cache: "no-store" });
  const body = await answer.text();
  const trip = performance.now() - began;
  if (!answer.ok) throw new Error(JSON.parse(body).error);
  const server = Number(/dur=([\d.]+)/.exec(answer.headers.get("Server-Timing"))[1]);
  return { server, trip };
}

function show(cell, runs) {
  cell.replaceChildren(line(`${ms(median(runs, "server"))} ms`, "server"), line(`browser ${ms(median(runs, "trip"))}`, "trip"));
}

function line(text, name) {
  const span = document.createElement("span");
  span.className = name;
  span.textContent = text;
  return span;
}

function median(runs, which) {
  const sorted = runs.map((r) => r[which]).sort((a, b) => a - b);
  return sorted[Math.floor((sorted.length - 1) / 2)];
}

const round = (n) => (n >= 10 ? Math.round(n) : Math.round(n * 10) / 10);
const ms = (n) => (n >= 100 ? n.toFixed(0) : n >= 1 ? n.toFixed(1) : n.toFixed(2));

// Figures as text. NONE stands for "nothing was measured", which is not 0.

export const NONE = '–';
const NBSP = '\u00a0', THIN = '\u202f';

const whole = new Intl.NumberFormat('en', {maximumFractionDigits: 0});
const short = new Intl.NumberFormat('en', {notation: 'compact', maximumFractionDigits: 1});

export function count(n) {
  return Math.abs(n) < 1e6 ? whole.format(n) : short.format(n);
}

export function perSecond(n) {
  if (n <= 0) return '0';
  return n < 10 ? n.toFixed(1) : count(n);
}

// percent rounds down: 99.96 is not yet 100.
export function percent(p) {
  if (p > 0 && p < 0.1) return '<' + THIN + '0.1' + THIN + '%';
  return (Math.floor(p * 10 + 1e-6) / 10).toFixed(1) + THIN + '%';
}

const digits3 = x => x < 10 ? x.toFixed(2) : x < 100 ? x.toFixed(1) : x.toFixed(0);

// duration of milliseconds, 0 included.
export function duration(ms) {
  if (ms < 0.001) return Math.round(ms * 1e6) + NBSP + 'ns';
  if (ms < 1) return digits3(ms * 1e3) + NBSP + 'µs';
  if (ms < 1e3) return digits3(ms) + NBSP + 'ms';
  const s = ms / 1e3;
  if (s < 60) return digits3(s) + NBSP + 's';
  const pair = (big, unit, small, rest) => whole.format(big) + NBSP + unit + (small ? NBSP + small + NBSP + rest : '');
  const min = Math.floor(s / 60), h = Math.floor(min / 60), d = Math.floor(h / 24);
  if (h < 1) return pair(min, 'min', Math.floor(s % 60), 's');
  if (d < 1) return pair(h, 'h', min % 60, 'min');
  return d < 1000 ? pair(d, 'd', h % 24, 'h') : pair(Math.floor(d / 365), 'years');
}

// measured is duration of what is never 0 if it was measured.
export const measured = ms => ms > 0 ? duration(ms) : NONE;

export function bytes(n) {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB', 'EiB'];
  let i = 0;
  for (; n >= 1024 && i < units.length - 1; i++) n /= 1024;
  return (i === 0 ? whole.format(n) : digits3(n)) + NBSP + units[i];
}

// isSet tells a time from Go's zero time, which JSON may carry.
export const isSet = t => !!t && !t.startsWith('0001-');

export function ago(t, now) {
  const s = Math.round((now - Date.parse(t)) / 1e3);
  if (s <= 1) return 'just now';
  if (s < 120) return s + NBSP + 's ago';
  if (s < 7200) return Math.floor(s / 60) + NBSP + 'min ago';
  return s < 172800 ? Math.floor(s / 3600) + NBSP + 'h ago' : Math.floor(s / 86400) + NBSP + 'd ago';
}

export function until(t, now) {
  const ms = Date.parse(t) - now;
  if (ms < 1e3) return 'now';
  return 'in' + NBSP + (ms < 6e4 ? Math.round(ms / 1e3) + NBSP + 's' : duration(Math.round(ms / 6e4) * 6e4));
}

export const clock = date => date.toLocaleTimeString('en-GB');

// name of something that somebody else chose: control characters and those that turn
// the direction of text are spelled out, so that it cannot pass for another.
export function name(s, most = 160) {
  const plain = s.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, c => '\\u{' + c.codePointAt(0).toString(16) + '}');
  const points = Array.from(plain);
  return points.length > most ? points.slice(0, most).join('') + '…' : plain;
}

// The verdict: one word, one level, and why.

import {count, percent} from './format.js';

// judge gives {level, word, why} of a snapshot. level is good, fair, poor, down or none.
export function judge(s) {
  const masters = s.masters ?? [];
  const waiting = s.queued > 0 ? ' ' + count(s.queued) + (s.queued === 1 ? ' invalidation waits' : ' invalidations wait') + ' for it.' : '';
  const out = masters.filter(m => m.state === 'open');
  if (out.length > 0) {
    const which = masters.length === 1 ? 'Redis is out of use' : out.length + ' of ' + masters.length + ' Redis masters are out of use';
    return {level: 'down', word: 'Redis is down', why: which + '. Memory and the source answer meanwhile, and it is tried again by itself.' + waiting};
  }
  if (masters.some(m => m.state === 'replaying')) {
    return {level: 'fair', word: 'Recovering', why: 'Redis answers again. It is told first what was invalidated while it was away.' + waiting};
  }
  if (s.redis.mode !== 'memory' && !s.redis.connected) {
    return {level: 'fair', word: 'Connecting', why: 'Redis has not answered yet. Memory and the source answer meanwhile.' + waiting};
  }

  const traffic = traffics(s);
  const redis = s.redis.mode === 'memory' ? 'There is no Redis: memory only.' : masters.length > 1 ? 'All ' + masters.length + ' Redis masters are connected.' : 'Redis is connected.';
  const verdict = {level: 'none', word: 'No traffic', why: 'Nobody has read for a while. ' + redis};
  if (traffic) {
    const [window, phrase] = traffic;
    verdict.level = ['good', 'fair', 'poor'].includes(s.performance.status) ? s.performance.status : 'none';
    verdict.word = {good: 'Good', fair: 'Fair', poor: 'Poor', none: s.performance.status}[verdict.level];
    verdict.why = percent(window.hitRate) + ' of all reads ' + phrase + ' were answered without the source. ' + redis;
  }
  if (masters.some(m => m.state === 'read-only')) return worse(verdict, 'Redis takes no writes: it is out of memory, or over a quota.');
  if (s.redis.mode !== 'memory' && masters.some(m => !m.fresh)) return worse(verdict, 'What others change is not heard at the moment, so Redis is read where memory would answer.');
  return verdict;
}

// traffics finds the shortest window that saw reads, from a minute on.
function traffics(s) {
  const phrases = {'1m': 'in the last minute', '15m': 'in the last 15 minutes', now: 'just now'};
  const windows = ['1m', '15m', 'now'].map(name => (s.windows ?? []).find(w => w.name === name));
  const found = windows.find(w => w && reads(w) > 0);
  return found && [found, phrases[found.name]];
}

export const reads = w => w.perSecond.memory + w.perSecond.redis + w.perSecond.load;

function worse(verdict, reason) {
  const {level, word} = verdict.level === 'poor' ? verdict : {level: 'fair', word: 'Fair'};
  return {level, word, why: reason + ' ' + verdict.why};
}

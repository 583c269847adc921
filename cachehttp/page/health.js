// The verdict: one word, one level, and why.

import {count, name, percent, roughly} from './format.js';

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

  const redis = s.redis.mode === 'memory' ? 'There is no Redis: memory only.' : masters.length > 1 ? 'All ' + masters.length + ' Redis masters are connected.' : 'Redis is connected.';
  const verdict = traffic(s);
  verdict.why += ' ' + redis;
  if (masters.some(m => m.state === 'read-only')) return worse(verdict, 'Redis takes no writes: it is out of memory, or over a quota.');
  if (s.redis.mode !== 'memory' && masters.some(m => !m.fresh)) return worse(verdict, 'What others change is not heard at the moment, so Redis is read where memory would answer.');
  return verdict;
}

// The server judges the last quarter of an hour, from so many reads on.
const FEW = 100;
const QUARTER = '15m';
const WORDS = {good: 'Good', fair: 'Fair', poor: 'Poor'};

function traffic(s) {
  const {operations, hitRate} = s.cache, {status} = s.performance;
  if (operations === 0) return {level: 'none', word: 'No traffic', why: 'Nothing was read yet.'};
  if (operations < FEW) return {level: 'none', word: 'Starting', why: 'Only ' + count(operations) + (operations === 1 ? ' read' : ' reads') + ' so far: too few to judge.'};
  const quarter = (s.windows ?? []).find(w => w.name === QUARTER);
  const recent = quarter && reads(quarter) * quarter.seconds >= FEW;
  const why = percent(recent ? quarter.hitRate : hitRate) + ' of reads ' + (recent ? 'in the last ' + roughly(Math.max(1, quarter.seconds) * 1e3) : 'since start') + ' were answered without the source.';
  return {level: status in WORDS ? status : 'none', word: WORDS[status] ?? name(status, 40), why};
}

export const reads = w => w.perSecond.memory + w.perSecond.redis + w.perSecond.load;

function worse(verdict, reason) {
  const {level, word} = verdict.level === 'poor' ? verdict : {level: 'fair', word: 'Fair'};
  return {level, word, why: reason + ' ' + verdict.why};
}

// What changes the cache: each is confirmed first, in words that say what will happen.

import {$, put} from './table.js';
import {name} from './format.js';

let allowed = [];

export const may = action => allowed.includes(action);

export function permit(actions) {
  allowed = actions;
  $('invalidate').hidden = !may('invalidate');
  $('clear-line').hidden = !may('clear');
  $('read-only').hidden = allowed.length > 0;
}

// answered gives the answer of who was asked last; nothing, once he has it.
let answered = () => {};

// confirmed asks, and gives whether the answer was yes. The focus returns to where it
// was by itself: that is what a dialog does.
function confirmed(title, text, yes, danger = false) {
  const dialog = $('confirm');
  if (dialog.open) return Promise.resolve(false);
  answered(); // the event of its closing may be yet to come, and is not that of this question
  put($('confirm-title'), title);
  put($('confirm-text'), text);
  put($('confirm-yes'), yes);
  $('confirm-yes').classList.toggle('danger', danger);
  dialog.returnValue = 'cancel';
  dialog.showModal();
  $('confirm-cancel').focus();
  return new Promise(resolve => {
    answered = () => {
      answered = () => {};
      resolve(dialog.returnValue === 'yes');
    };
  });
}

export class Actions {
  constructor(base) {
    this.base = base;
    $('confirm').addEventListener('close', () => { if (!$('confirm').open) answered(); });
    $('clear').addEventListener('click', () => this.clear());
    $('invalidate').addEventListener('submit', event => {
      event.preventDefault();
      this.invalidate($('kind').value, $('target').value);
    });
    $('kind').addEventListener('change', () => put($('target-label'), {key: 'Key', tag: 'Tag', pattern: 'Pattern'}[$('kind').value]));
  }

  async clear() {
    const text = 'Every entry of every cache is removed, from Redis and from the memory of every process. Until the caches are full again, reads go to the source.';
    if (await confirmed('Clear all caches?', text, 'Clear all caches', true)) await this.#do('Clear', 'clear', {});
  }

  async invalidate(kind, target) {
    const shown = '“' + name(target) + '”';
    const text = {
      key: 'The entry of the key ' + shown + ' is removed, from Redis and from the memory of every process. Its next read goes to the source.',
      tag: 'Every entry with the tag ' + shown + ' is removed, from Redis and from the memory of every process.',
      pattern: 'Every entry whose key matches ' + shown + ' is removed, from Redis and from the memory of every process. Redis is searched for them.',
    }[kind];
    if (await confirmed('Invalidate the ' + kind + '?', text, 'Invalidate', kind === 'pattern')) {
      await this.#do('Invalidation of ' + shown, 'invalidate', {kind, target});
    }
  }

  async warm(job) {
    const shown = '“' + name(job) + '”';
    const text = 'The job ' + shown + ' loads all of its keys from the source, now.';
    if (await confirmed('Run the job?', text, 'Run it')) await this.#do('Job ' + shown, 'warm', {job});
  }

  async #do(what, path, body) {
    this.#tell('', what + ': asked for…');
    try {
      const answer = await fetch(new URL(path, this.base), {method: 'POST', headers: {'Content-Type': 'application/json'}, body: JSON.stringify(body)});
      const text = await answer.text();
      if (answer.status === 202) this.#tell('done', what + ': started.');
      else if (answer.ok) this.#tell('done', what + ': ' + outcome(text));
      else this.#tell('failed', what + ' was refused: ' + (outcome(text) || answer.status));
    } catch (error) {
      this.#tell('failed', what + ' may not have happened: no answer (' + error.message + ').');
    }
  }

  #tell(state, text) {
    $('result').dataset.state = state;
    put($('result'), text);
  }
}

// outcome of an action in words: the server's, as JSON or as plain text.
function outcome(text) {
  try {
    const {error, keys, queued} = JSON.parse(text);
    if (error) return name(error, 300) + '.';
    if (queued) return 'done here; the rest waits for Redis.';
    return keys > 0 ? 'done, ' + keys.toLocaleString('en') + (keys === 1 ? ' key' : ' keys') + ' removed from Redis.' : 'done.';
  } catch {
    return name(text.trim(), 300);
  }
}

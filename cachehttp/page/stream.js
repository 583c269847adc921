// The stream of snapshots, which comes back by itself.

const SILENCE = 5000; // an event is due each second
const LONGEST = 15000;

// follow calls snapshot(s) with each snapshot, and state(kind, seconds) when the link
// changes: "live", "polled" (figures come, the stream does not: too many read it), or
// "lost" with the seconds until the next try.
export function follow(base, snapshot, state) {
  let source, watchdog, wait = 1000;

  const alive = () => {
    clearTimeout(watchdog);
    watchdog = setTimeout(lost, SILENCE);
  };

  // EventSource would retry by itself, but for ever at one pace, never after an answer
  // other than 200, and not at all if the connection is half open.
  function connect() {
    source = new EventSource(new URL('stream', base));
    alive();
    source.onmessage = event => {
      alive();
      wait = 1000;
      snapshot(JSON.parse(event.data));
      state('live');
    };
    source.onerror = lost;
  }

  async function lost() {
    clearTimeout(watchdog);
    source.close();
    const polled = await poll();
    state(polled ? 'polled' : 'lost', wait / 1000);
    setTimeout(connect, wait * (0.8 + 0.4 * Math.random()));
    wait = Math.min(wait * 2, polled ? 4000 : LONGEST);
  }

  async function poll() {
    try {
      const answer = await fetch(base, {headers: {Accept: 'application/json'}, cache: 'no-store', signal: AbortSignal.timeout(SILENCE)});
      if (!answer.ok) return false;
      snapshot(await answer.json());
      return true;
    } catch {
      return false;
    }
  }

  connect();
}

// What the vendor's client asks, and what it makes of the answers. Each check is
// one line of output; the exit code is 1 if any failed.
import assert from "node:assert/strict";
import { Redis } from "@upstash/redis";

const url = process.env.CHECK_URL;
const token = process.env.CHECK_TOKEN;
const redis = new Redis({ url, token, retry: false, enableTelemetry: false });
const raw = new Redis({ url, token, retry: false, enableTelemetry: false, automaticDeserialization: false });

const checks = {
  "PING": async () => assert.equal(await redis.ping(), "PONG"),
  "SET and GET": async () => {
    assert.equal(await redis.set("k", "v"), "OK");
    assert.equal(await redis.get("k"), "v");
  },
  "a value that is OK": async () => {
    await redis.set("ok", "OK");
    assert.equal(await redis.get("ok"), "OK");
  },
  "nothing": async () => assert.equal(await redis.get("none"), null),
  "an empty value": async () => {
    await raw.set("empty", "");
    assert.equal(await raw.get("empty"), "");
  },
  "text beyond ASCII": async () => {
    await raw.set("t", "日本 ü \u0000 \n");
    assert.equal(await raw.get("t"), "日本 ü \u0000 \n");
  },
  "objects": async () => {
    await redis.set("o", { a: [1, 2], b: null });
    assert.deepEqual(await redis.get("o"), { a: [1, 2], b: null });
  },
  "SET with options": async () => {
    assert.equal(await redis.set("k", "w", { nx: true }), null);
    assert.equal(await redis.set("ex", "1", { ex: 100 }), "OK");
    const ttl = await redis.ttl("ex");
    assert.ok(ttl > 0 && ttl <= 100);
  },
  "numbers": async () => {
    assert.equal(await redis.incr("n"), 1);
    assert.equal(await redis.incrby("n", 41), 42);
  },
  "MGET": async () => assert.deepEqual(await raw.mget("k", "none", "ok"), ["v", null, "OK"]),
  "hashes": async () => {
    await redis.hset("h", { a: 1, b: "x" });
    assert.deepEqual(await redis.hgetall("h"), { a: 1, b: "x" });
  },
  "lists": async () => {
    await redis.rpush("l", "a", "b");
    assert.deepEqual(await redis.lrange("l", 0, -1), ["a", "b"]);
  },
  "sorted sets": async () => {
    await redis.zadd("z", { score: 1.5, member: "m" });
    assert.deepEqual(await redis.zrange("z", 0, -1, { withScores: true }), ["m", 1.5]);
  },
  "SCAN": async () => {
    const found = [];
    let cursor = "0";
    do {
      const [next, keys] = await redis.scan(cursor, { match: "*", count: 3 });
      found.push(...keys);
      cursor = String(next);
    } while (cursor !== "0");
    assert.equal(new Set(found).size, await redis.dbsize());
  },
  "scripts": async () => {
    assert.deepEqual(await redis.eval("return {KEYS[1], ARGV[1], 1}", ["a"], ["b"]), ["a", "b", 1]);
    const sha = await redis.scriptLoad("return 7");
    assert.equal(await redis.evalsha(sha, [], []), 7);
    await assert.rejects(redis.evalsha("0".repeat(40), [], []), /NOSCRIPT/);
  },
  "a pipeline": async () => {
    const p = redis.pipeline();
    p.set("p", "1");
    p.incr("p");
    p.get("none");
    assert.deepEqual(await p.exec(), ["OK", 2, null]);
  },
  "an error in a pipeline": async () => {
    const p = redis.pipeline();
    p.set("text", "x");
    p.incr("text");
    await assert.rejects(p.exec(), /not an integer/);
  },
  "a transaction": async () => {
    const tx = redis.multi();
    tx.set("m", "1");
    tx.incr("m");
    assert.deepEqual(await tx.exec(), ["OK", 2]);
  },
  "an error": async () => assert.rejects(redis.incr("k"), /not an integer/),
  "no token": async () => {
    const other = new Redis({ url, token: "wrong", retry: false, enableTelemetry: false });
    await assert.rejects(other.get("k"), /WRONGPASS/);
  },
  "what blocks": async () => assert.rejects(raw.exec(["BLPOP", "l", "1"]), /not available/),
  "messages": async () => {
    const sub = redis.subscribe(["ch"]);
    try {
      const got = new Promise((resolve, reject) => {
        sub.on("error", reject);
        sub.on("message", ({ channel, message }) => resolve([channel, message]));
        setTimeout(() => reject(new Error("no message")), 5000).unref();
      });
      await new Promise((resolve) => sub.on("subscribe", resolve));
      assert.equal(await redis.publish("ch", "hello, you"), 1);
      assert.deepEqual(await got, ["ch", "hello, you"]);
    } finally {
      await sub.unsubscribe();
    }
  },
};

let passed = 0;
let failed = 0;
for (const [name, check] of Object.entries(checks)) {
  try {
    await check();
    passed++;
    console.log(`ok    ${name}`);
  } catch (err) {
    failed++;
    console.log(`FAIL  ${name}: ${err?.message ?? err}`);
  }
}
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);

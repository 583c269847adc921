-- Counts a control message and sends it, in one step: whoever has heard up to
-- the counter has heard everything that was sent.
--   KEYS[1]  the counter
--   ARGV[1]  the channel
--   ARGV[2]  the payload
--   counter            after                          message
--   prev               n = max(prev + 1, server time)  "prev n payload"
--   absent, unreadable  n = server time                "0 n payload"
-- The server's time (microseconds) keeps a counter that was flushed or evicted
-- from coming back with numbers that somebody has heard before.
local prev = redis.pcall('GET', KEYS[1])
prev = type(prev) == 'string' and string.find(prev, '^%d+$') and tonumber(prev) or 0
if prev >= 9007199254740991 then prev = 0 end -- 2^53 - 1: Lua counts no further
local now = redis.call('TIME')
local n = string.format('%.0f', math.max(prev + 1, now[1] * 1000000 + now[2]))
redis.call('SET', KEYS[1], n)
redis.call('PUBLISH', ARGV[1], string.format('%.0f', prev) .. ' ' .. n .. ' ' .. ARGV[2])
return 1

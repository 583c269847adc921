-- Reads a clock, and starts it if there is none. Starting it is not advancing it: of
-- many who find none, all are told the same.
--   KEYS[1]  the clock
--   before             after                          reply
--   n, see tick.lua    n                              n
--   anything else      the server's time              what is there after
local old = redis.pcall('GET', KEYS[1])
local n = type(old) == 'string' and string.match(old, '^%d+$') and tonumber(old)
if n and n > 0 and n < 9e15 then return old end
local time = redis.call('TIME')
local text = string.format('%016.0f', time[1] * 1000000 + time[2])
redis.call('SET', KEYS[1], text)
return text

-- Advances a clock. It never repeats a value, also if it was lost meanwhile: it is
-- not behind the server's own clock, in microseconds.
--   KEYS[1]  the clock
--   before           after                          reply
--   n, digits only, from 1 to 9e15 - 1
--                    n+1, or the server's time, whichever is later
--   anything else    the server's time              what is there after
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local old = redis.pcall('GET', KEYS[1])
local n = type(old) == 'string' and string.match(old, '^%d+$') and tonumber(old)
if n and n < 9e15 and n >= now then now = n + 1 end
local text = string.format('%016.0f', now)
redis.call('SET', KEYS[1], text)
return text

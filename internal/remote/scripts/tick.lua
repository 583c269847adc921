-- Advances a clock. It never repeats a value, also if it was lost meanwhile: it is
-- not behind the server's own clock, in microseconds.
--   KEYS[1]  the clock
--   before           after                          reply
--   absent           the server's time              what is there after
--   n                n+1, or the server's time, whichever is later
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local old = tonumber(redis.pcall('GET', KEYS[1]) or nil)
if old and old >= now then now = old + 1 end
local text = string.format('%016.0f', now)
redis.call('SET', KEYS[1], text)
return text

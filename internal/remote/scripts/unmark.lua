-- Ends one Mutate of a key, and removes what is there unless others mark it.
--   KEYS[1]  the key
--   ARGV[1]  token of the Mutate
--   before                               after                     reply
--   a marker with other live Mutates     the same without this     0
--   any other marker                     absent                    0
--   absent                               absent                    0
--   anything else                        absent                    1
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local old = redis.pcall('GET', KEYS[1])
if type(old) ~= 'string' or string.sub(old, 1, 4) ~= 'tc1M' then return redis.call('UNLINK', KEYS[1]) end
local marks, last = '', now
for at = 5, #old - 34, 35 do
  local token, ends = string.sub(old, at, at + 21), tonumber(string.sub(old, at + 22, at + 34))
  if ends and ends > now and token ~= ARGV[1] then
    marks = marks .. string.sub(old, at, at + 34)
    if ends > last then last = ends end
  end
end
if marks == '' then
  redis.call('UNLINK', KEYS[1])
else
  redis.call('SET', KEYS[1], 'tc1M' .. marks, 'PX', last - now)
end
return 0

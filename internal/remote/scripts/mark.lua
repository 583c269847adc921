-- Marks a key for one Mutate. A marker is "tc1M" and, for each Mutate under way,
-- its token (22) and when it ends (13 digits, milliseconds in the server's clock).
--   KEYS[1]  the key
--   ARGV[1]  token of this Mutate
--   ARGV[2]  its life, milliseconds
--   before           after                              reply
--   a marker         the marker, with this Mutate too   0
--   absent           a marker                           0
--   anything else    a marker                           1
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local last = now + tonumber(ARGV[2])
local marker = 'tc1M' .. ARGV[1] .. string.format('%013.0f', last)
local old = redis.pcall('GET', KEYS[1])
local removed = 1
if old == false then removed = 0 end
if type(old) == 'string' and string.sub(old, 1, 4) == 'tc1M' then
  removed = 0
  for at = 5, #old - 34, 35 do
    local token, ends = string.sub(old, at, at + 21), tonumber(string.sub(old, at + 22, at + 34))
    if ends and ends > now and token ~= ARGV[1] then
      marker = marker .. string.sub(old, at, at + 34)
      if ends > last then last = ends end
    end
  end
end
redis.call('SET', KEYS[1], marker, 'PX', last - now)
return removed

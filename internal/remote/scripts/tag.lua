-- Gives a tag a new generation, unborn, and adds or removes a mark of a Mutate.
-- A record is
--   offset  length
--   0       3       "tg1"
--   3       11      stamp of the master it was written to
--   14      22      nonce of the generation
--   36      13      when the record expires, milliseconds in the server's clock
--   49      16      clock of its birth; zeros: unborn
--   65      11      stamp of the clock's master
--   76      35 each marks: token (22), end (13 digits)
--   KEYS[1]  the record
--   ARGV[1]  stamp
--   ARGV[2]  nonce
--   ARGV[3]  life of the record, milliseconds
--   ARGV[4]  mark to remove, ''
--   ARGV[5]  mark to add, ''
--   ARGV[6]  its life, milliseconds, shorter than the record's
--   before           after                                     reply
--   any record       {nonce, unborn, its live marks}           1
--   anything else    {nonce, unborn}                           1
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local old = redis.pcall('GET', KEYS[1])
local marks = ''
if type(old) == 'string' and string.sub(old, 1, 3) == 'tg1' then
  for at = 77, #old - 34, 35 do
    local token, ends = string.sub(old, at, at + 21), tonumber(string.sub(old, at + 22, at + 34))
    if ends and ends > now and token ~= ARGV[4] and token ~= ARGV[5] then
      marks = marks .. string.sub(old, at, at + 34)
    end
  end
end
if ARGV[5] ~= '' then
  marks = marks .. ARGV[5] .. string.format('%013.0f', now + tonumber(ARGV[6]))
end
local life = tonumber(ARGV[3])
redis.call('SET', KEYS[1], 'tg1' .. ARGV[1] .. ARGV[2] .. string.format('%013.0f', now + life)
  .. string.rep('0', 16) .. string.rep('-', 11) .. marks, 'PX', ARGV[3])
return 1

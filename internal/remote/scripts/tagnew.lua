-- Makes a record for a tag that has none, or one that its reader does not accept.
-- See tag.lua for what a record is.
--   KEYS[1]  the record
--   ARGV[1]  stamp
--   ARGV[2]  nonce
--   ARGV[3]  life of the record, milliseconds
--   ARGV[4]  what the reader saw and does not accept, '' for nothing
--   before                 after               reply
--   absent, or ARGV[4]     {nonce, unborn}     the record after
--   anything else          unchanged           the record
local old = redis.pcall('GET', KEYS[1])
if type(old) == 'string' and old ~= ARGV[4] then return old end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local new = 'tg1' .. ARGV[1] .. ARGV[2] .. string.format('%013.0f', now + tonumber(ARGV[3]))
  .. string.rep('0', 16) .. string.rep('-', 11)
redis.call('SET', KEYS[1], new, 'PX', ARGV[3])
return new

-- Gives an unborn record the clock of its birth, and any its life.
-- See tag.lua for what a record is.
--   KEYS[1]  the record
--   ARGV[1]  nonce
--   ARGV[2]  clock of its birth and the stamp of the clock's master (27), '' for none
--   ARGV[3]  life of the record from now, milliseconds, 0 to leave it
--   before                       after                   reply
--   a record with that nonce     born, lives that long   the record after
--   anything else                unchanged               what is there, '' for nothing
local old = redis.pcall('GET', KEYS[1])
if type(old) ~= 'string' then return '' end
if string.sub(old, 1, 3) ~= 'tg1' or string.sub(old, 15, 36) ~= ARGV[1] then return old end
if ARGV[2] ~= '' and string.sub(old, 50, 65) == string.rep('0', 16) then
  redis.call('SETRANGE', KEYS[1], 49, ARGV[2])
end
if ARGV[3] ~= '0' then
  local time = redis.call('TIME')
  local now = time[1] * 1000 + math.floor(time[2] / 1000)
  redis.call('SETRANGE', KEYS[1], 36, string.format('%013.0f', now + tonumber(ARGV[3])))
  redis.call('PEXPIRE', KEYS[1], ARGV[3])
end
return redis.call('GET', KEYS[1])

-- Makes a value that its source says has not changed live on: its payload stays.
--   KEYS[1]  the key
--   ARGV[1]  head of the value
--   ARGV[2]  what is to stand before its tags, with a new token
--   ARGV[3]  its life from now, milliseconds
--   before           after                      reply
--   that value       the same, under ARGV[2]    1
--   anything else    unchanged                  0
if redis.pcall('GETRANGE', KEYS[1], 0, #ARGV[1] - 1) ~= ARGV[1] then return 0 end
redis.call('SETRANGE', KEYS[1], 0, ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 1

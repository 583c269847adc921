-- Turns a lease into the value that was loaded under it.
--   KEYS[1]  the key
--   ARGV[1]  head of the lease
--   ARGV[2]  the value
--   ARGV[3]  its life, milliseconds
--   before           after       reply
--   that lease       value       1
--   anything else    unchanged   0: somebody invalidated, or the lease ran out
if redis.pcall('GETRANGE', KEYS[1], 0, #ARGV[1] - 1) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1

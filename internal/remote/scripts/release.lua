-- Gives a lease back without a value.
--   KEYS[1]  the key
--   ARGV[1]  head of the lease
--   before           after       reply
--   that lease       absent      1: nobody invalidated while it stood
--   anything else    unchanged   0
if redis.pcall('GETRANGE', KEYS[1], 0, #ARGV[1] - 1) ~= ARGV[1] then return 0 end
redis.call('UNLINK', KEYS[1])
return 1

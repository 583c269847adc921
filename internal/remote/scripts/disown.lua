-- Removes what one cache has under a key, and nothing of another's.
--   KEYS[1]  the key
--   ARGV[1]  identity of the cache
--   ARGV[2]  where heads name their cache: first and last offset
--   ARGV[3]
--   before                     after       reply
--   value or lease of the cache  absent    1
--   anything else              unchanged   0
if redis.pcall('GETRANGE', KEYS[1], ARGV[2], ARGV[3]) ~= ARGV[1] then return 0 end
return redis.call('UNLINK', KEYS[1])

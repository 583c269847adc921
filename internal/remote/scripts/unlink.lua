-- Removes what stands under a key, but for the marker of a Mutate that is not over.
--   KEYS[1]  the key
--   before                       after       reply
--   a string that begins "tc1M"  unchanged   0
--   anything else                absent      1
--   absent                       absent      0
if redis.pcall('GETRANGE', KEYS[1], 0, 3) == 'tc1M' then return 0 end
return redis.call('UNLINK', KEYS[1])

-- Takes the lease of a key for a Set, whatever stands there but a marker.
--   KEYS[1]  the key
--   ARGV[1]  head of the lease
--   ARGV[2]  its life, milliseconds
--   before           after       reply
--   a marker         unchanged   0: the source is being changed
--   anything else    lease       1
if redis.pcall('GETRANGE', KEYS[1], 0, 3) == 'tc1M' then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1

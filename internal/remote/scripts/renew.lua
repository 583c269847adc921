-- Lengthens the life of a lease whose load goes on, or of a value that it is to replace.
--   KEYS[1]  the key
--   ARGV[1]  its head
--   ARGV[2]  life from now, milliseconds
--   before           after                reply
--   what has it      same, lives longer   1
--   anything else    unchanged            0
if redis.pcall('GETRANGE', KEYS[1], 0, #ARGV[1] - 1) ~= ARGV[1] then return 0 end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])

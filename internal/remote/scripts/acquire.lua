-- Takes the lease of a key for whoever found nothing there that it accepts.
--   KEYS[1]  the key
--   ARGV[1]  head of the lease (it carries the token, sent once)
--   ARGV[2]  life of the lease, milliseconds
--   ARGV[3]  head of what the caller rejects, '' if it found nothing
--   ARGV[4]  the last byte to reply of what stands
--   before                         after        reply
--   absent, or an empty string     lease        1
--   a string that begins with ARGV[3]  lease    1
--   another type                   lease        1
--   any other string               unchanged    the string, up to there
local head = redis.pcall('GETRANGE', KEYS[1], 0, #ARGV[1] - 1)
if type(head) == 'string' and head ~= '' and head ~= ARGV[3] then
  return redis.call('GETRANGE', KEYS[1], 0, ARGV[4])
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1

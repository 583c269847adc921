-- Marks a value as stale. Its new token keeps whoever saw the old one from
-- replacing it.
--   KEYS[1]  the key
--   ARGV[1]  the new token
--   before                       after                          reply
--   lease                        absent                         1
--   value, stale or not          stale, its TTL, the new token  1
--   absence, stale or not        stale, its TTL, the new token  1
--   marker, or a kind unknown    unchanged                      0
--   anything else                absent                         1
--   absent                       absent                         0
local head = redis.pcall('GETRANGE', KEYS[1], 0, 36)
local kind = ''
if type(head) == 'string' and string.sub(head, 1, 3) == 'tc1' then kind = string.sub(head, 4, 4) end
local stale = ({V = 'O', O = 'O', N = 'G', G = 'G'})[kind]
if stale and #head == 37 then
  -- One write, so one push to those who listen: kind, the stamp again, token.
  redis.call('SETRANGE', KEYS[1], 3, stale .. string.sub(head, 5, 15) .. ARGV[1])
  return 1
end
if kind == '' or kind == 'L' or stale then return redis.call('UNLINK', KEYS[1]) end
return 0

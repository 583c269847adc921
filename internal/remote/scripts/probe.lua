-- Does what the other scripts do, so that a user who may not do it is found out. The
-- others ask for a key's bytes by pcall, where a refusal looks like an odd value.
--   KEYS[1]  a key of the library's own
--   before      after     reply
--   anything    absent    1
redis.call('TIME')
redis.call('SET', KEYS[1], 'x', 'PX', 1000)
redis.call('GET', KEYS[1])
redis.call('GETRANGE', KEYS[1], 0, 0)
redis.call('SETRANGE', KEYS[1], 0, 'y')
redis.call('PEXPIRE', KEYS[1], 1000)
redis.call('UNLINK', KEYS[1])
return 1

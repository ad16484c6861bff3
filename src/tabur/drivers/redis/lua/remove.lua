-- KEYS: workers, beats, paces. ARGV: worker id, beats at which it is to stand still (empty: wherever).
-- Answers whether it was removed.
if ARGV[2] ~= '' and (redis.call('HGET', KEYS[2], ARGV[1]) or '0') ~= ARGV[2] then return 0 end
redis.call('HDEL', KEYS[2], ARGV[1])
redis.call('HDEL', KEYS[3], ARGV[1])
return redis.call('HDEL', KEYS[1], ARGV[1])

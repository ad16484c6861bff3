-- KEYS: workers, beats. ARGV: worker ids.
redis.call('HDEL', KEYS[2], '') -- as in exchange.lua: a full memory must not stop a heart
for _, worker in ipairs(ARGV) do
  if redis.call('HEXISTS', KEYS[1], worker) == 1 then redis.call('HINCRBY', KEYS[2], worker, 1) end
end

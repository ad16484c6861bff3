-- KEYS: workers, beats. ARGV: worker ids.
for _, worker in ipairs(ARGV) do
  if redis.call('HEXISTS', KEYS[1], worker) == 1 then redis.call('HINCRBY', KEYS[2], worker, 1) end
end

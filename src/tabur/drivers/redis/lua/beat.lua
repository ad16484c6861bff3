-- KEYS: workers, beats, paces. ARGV: worker ids. Answers how many of them are known.
redis.call('HDEL', KEYS[2], '') -- as in exchange.lua: a full memory must not stop a heart
local known = 0
for _, worker in ipairs(ARGV) do
  if redis.call('HEXISTS', KEYS[1], worker) == 1 then
    redis.call('HINCRBY', KEYS[2], worker, 1)
    known = known + 1
  end
end
return known

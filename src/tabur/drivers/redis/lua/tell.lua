-- KEYS: workers, beats, paces. ARGV: worker ids, each with how fast it is.
for n = 1, #ARGV, 2 do
  if redis.call('HEXISTS', KEYS[1], ARGV[n]) == 1 then
    redis.call('HSET', KEYS[3], ARGV[n], ARGV[n + 1])
  end
end
return 0

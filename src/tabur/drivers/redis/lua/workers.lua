-- KEYS: workers, beats, paces. Answers what each worker said of itself, and beats and paces by
-- worker.
return {redis.call('HVALS', KEYS[1]), redis.call('HGETALL', KEYS[2]), redis.call('HGETALL', KEYS[3])}

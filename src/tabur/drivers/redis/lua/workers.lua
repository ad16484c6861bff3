-- KEYS: workers, beats. Answers what each worker said of itself, and beats by worker.
return {redis.call('HVALS', KEYS[1]), redis.call('HGETALL', KEYS[2])}

-- ARGV: now, batch. Answers whether it was cancelled.
local id = ARGV[2]
local batch = call('HGET', BATCHES, id)
if not batch or has_finished(batch) or sub(batch, 25, 32) ~= NOTHING8 then return 0 end
call('HDEL', BATCHES, '') -- as in exchange.lua: a full memory must not keep a batch from being stopped
call('HSET', BATCHES, id, sub(batch, 1, 24) .. pack('>I8', now() + 1) .. sub(batch, 33))
return 1

-- ARGV: now, 'finished' or 'unfinished', the moment before which, at most how many. Answers how many
-- were removed.
local is_unfinished = ARGV[2] == 'unfinished'
local by_moment = is_unfinished and UNFINISHED or FINISHED
local ids = call('ZRANGEBYSCORE', by_moment, '-inf', '(' .. ARGV[3], 'LIMIT', 0, ARGV[4])
for _, id in ipairs(ids) do
  local batch = call('HGET', BATCHES, id)
  call('HDEL', BATCHES, id)
  call('ZREM', BATCH_IDS, id)
  call('ZREM', by_moment, id)
  for _, waiting in ipairs(waiting_for(batch, ALL)) do call('ZREM', SOURCES, waiting .. id) end
  if is_unfinished then
    for which = ALL, ENDING do cancel_blocked(waiting_for(batch, which), UNCOMPLETED) end
  end
end
finish()
sweep()
return #ids

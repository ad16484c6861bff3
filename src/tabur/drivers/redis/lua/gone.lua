-- ARGV: now, ids.
for n = 2, #ARGV do
  local id = ARGV[n]
  if call('SREM', TAKEN, id) == 1 then
    count('b', queue_of(lane_of(call('HGET', WORK, id))), -1)
    call('HDEL', WORK, id)
    erase(id, call('HGET', OUTCOMES, id))
  end
end
write_counts()

-- ARGV: now, ids.
for n = 2, #ARGV do
  local id = ARGV[n]
  if call('SREM', TAKEN, id) == 1 then
    local work = call('HGET', WORK, id)
    count('b', queue_of(lane_of(work)), -1)
    make_wait(id, due_of(work), sub(work, 10, 21), lane_of(work))
  end
end
write_lanes()
write_counts()
wake()

-- ARGV: now, ids. Answers how many were retried.
local retried = 0
for n = 2, #ARGV do
  local id = ARGV[n]
  local last = call('HGET', OUTCOMES, id)
  local ending = last and sub(last, 5, 5)
  if (ending == 'f' or ending == 'x') and call('HEXISTS', WORK, id) == 0 then
    local record = call('HGET', JOBS, id)
    call('HSET', OUTCOMES, id, sub(last, 1, 4) .. 'r' .. sub(last, 6))
    call('ZREM', ENDED[ending], id)
    call('HDEL', PROGRESS, id)
    make_pending(id, string.rep('\0', 12), sub(record, 1, 7 + byte(record, 2) * 256 + byte(record, 3)))
    retried = retried + 1
  end
end
write_lanes()
write_counts()
wake()
return retried

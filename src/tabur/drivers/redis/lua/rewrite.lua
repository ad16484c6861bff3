-- ARGV: now, then of each: 'payload' or 'result', id, record or last outcome as it stood, and as it is
-- to be. Answers how many still stood so.
local changed = 0
for n = 2, #ARGV, 4 do
  local kept, id = ARGV[n] == 'payload' and JOBS or OUTCOMES, ARGV[n + 1]
  if call('HGET', kept, id) == ARGV[n + 2] then
    call('HSET', kept, id, ARGV[n + 3])
    changed = changed + 1
  end
end
return changed

-- ARGV: now, only what ended before (or ''), ids. Removes finished jobs; answers how many.
local before, forgotten = tonumber(ARGV[2]), 0
for n = 3, #ARGV do
  local id = ARGV[n]
  local last = call('HGET', OUTCOMES, id)
  if last and call('HEXISTS', WORK, id) == 0
    and (not before or ended_at(sub(last, 5)) < before) then
    call('ZREM', ENDED[sub(last, 5, 5)], id)
    erase(id, last)
    forgotten = forgotten + 1
  end
end
return forgotten

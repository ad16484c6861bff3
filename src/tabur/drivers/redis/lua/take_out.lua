-- ARGV: now, queue or '', 'pending' and how many, or ids of scheduled ones. Answers id, work and record
-- of each, and whether there are more.
local queue, taken, more = ARGV[2], {}, 0

local function take_out(id, work)
  local lane, kind = lane_of(work), kind_of(work)
  local due = kind == 's' and sub(work, 2, 9) or NOTHING8
  work = 't' .. due .. sub(work, 10)
  if kind == 's' then call('ZREM', DUE, id) end
  call('HSET', WORK, id, work)
  call('SADD', TAKEN, id)
  count(kind, queue_of(lane), -1)
  count('b', queue_of(lane), 1)
  for _, each in ipairs({id, work, call('HGET', JOBS, id)}) do taken[#taken + 1] = each end
end

if ARGV[3] == 'pending' then
  more = off_lanes(queue, tonumber(ARGV[4]), take_out)
else
  for n = 3, #ARGV do
    local work = call('HGET', WORK, ARGV[n])
    if work and kind_of(work) == 's' and (queue == '' or queue_of(lane_of(work)) == queue) then
      take_out(ARGV[n], work)
    end
  end
end
write_counts()
return {more, taken}

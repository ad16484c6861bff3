-- ARGV: now, queue or '', 'pending', how many and where the last one stopped (or ''), or ids of scheduled
-- ones. What has bonds is left. Answers whether there are more, where it stopped, and id, work and record
-- of each.
local queue, taken, more, stopped = ARGV[2], {}, 0, nil
local some_are_bound = call('EXISTS', BONDS) == 1

-- Answers whether it is left.
local function take_out(id, work)
  if some_are_bound and call('HEXISTS', BONDS, id) == 1 then return true end
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
  more, stopped = off_lanes(queue, tonumber(ARGV[4]), take_out, ARGV[5] ~= '' and ARGV[5])
else
  for n = 3, #ARGV do
    local work = call('HGET', WORK, ARGV[n])
    if work and kind_of(work) == 's' and (queue == '' or queue_of(lane_of(work)) == queue) then
      take_out(ARGV[n], work)
    end
  end
end
write_counts()
return {more, stopped or '', taken}

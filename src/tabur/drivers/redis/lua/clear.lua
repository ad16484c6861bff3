-- ARGV: now, queue, outcome's rest, 'pending' and how many, or ids of others that may wait there.
-- Answers how many were cancelled there, with what waited for them, and whether there are more.
local queue, rest, more = ARGV[2], ARGV[3], 0
if ARGV[4] == 'pending' then
  more = off_lanes(queue, tonumber(ARGV[5]), function(id, work)
    cancel_now(id, work, rest)
  end)
else
  for n = 4, #ARGV do
    local work = call('HGET', WORK, ARGV[n])
    local kind = work and kind_of(work)
    if (kind == 's' or kind == 'b' or kind == 't') and queue_of(lane_of(work)) == queue then
      cancel_now(ARGV[n], work, rest)
      end
  end
end
finish()
return {cancelled_in[queue] or 0, more}

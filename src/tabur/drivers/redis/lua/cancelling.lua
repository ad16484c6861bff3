-- What has ended and may have bonds; and by queue, how many were cancelled here.
local over, cancelled_in = {}, {}

-- `bonds`: nothing, where they are not known here.
local function has_ended(id, ending, bonds)
  over[#over + 1] = {id = id, ending = ending, bonds = bonds}
end

-- `rest`: worker, times and error, as the client packs them.
local function cancel_now(id, work, rest)
  local kind, lane = kind_of(work), lane_of(work)
  if kind == 's' then call('ZREM', DUE, id)
  elseif kind == 'b' then call('SREM', BLOCKED, id)
  elseif kind == 't' then call('SREM', TAKEN, id)
  end
  if kind == 'r' or kind == 'c' then end_claim(id, work)
  else count(kind == 't' and 'b' or kind, queue_of(lane), -1)
  end
  call('HDEL', WORK, id)
  remember(id, 'x' .. pack('>I8', now()) .. NO_TOKEN .. sub(work, 10, 13) .. rest)
  call('ZADD', ENDED.x, now(), id)
  cancelled_in[queue_of(lane)] = (cancelled_in[queue_of(lane)] or 0) + 1
  has_ended(id, 'x')
end

-- Answers x cancelled, c called back, f finished, u unknown.
local function cancel(id, rest)
  local work = call('HGET', WORK, id)
  if not work then return call('HEXISTS', JOBS, id) == 1 and 'f' or 'u' end
  local kind = kind_of(work)
  if kind == 'c' then return 'c' end
  if kind == 'r' then
    call('HSET', WORK, id, 'c' .. sub(work, 2))
    call('SADD', MARKED, id)
    return 'c'
  end
  cancel_now(id, work, rest)
  return 'x'
end

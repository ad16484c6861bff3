-- `counters`: attempts, exceptions, crashes.
local function make_pending(id, counters, lane)
  local place = next_place()
  call('HSET', WORK, id, 'p' .. place .. counters .. NO_BLOCKERS .. lane)
  append(lane, place .. id)
  count('p', queue_of(lane), 1)
end

local function make_wait(id, due, counters, lane)
  if due == 0 or due <= now() then return make_pending(id, counters, lane) end
  call('HSET', WORK, id, 's' .. pack('>I8', due) .. counters .. NO_BLOCKERS .. lane)
  call('ZADD', DUE, due, id)
  count('s', queue_of(lane), 1)
end

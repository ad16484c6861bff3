-- ARGV: now, ids. Answers how many were retried.

-- The last outcome of a job that has ended so.
local function ended_as(id, endings)
  local last = call('HGET', OUTCOMES, id)
  if last and string.find(endings, sub(last, 5, 5), 1, true) and call('HEXISTS', WORK, id) == 0 then
    return last
  end
end

local function may_come_back(id, bonds)
  if holds(bonds) == '-' or holds(bonds) == 'w' then return true end
  local holder = call('HGET', UNIQUE, key_of(bonds))
  if holder and not is_over(holder) then return sub(holder, 1, 16) == id end
  hold(key_of(bonds), id, now(), 0)
  return true
end

local function is_done(source)
  local batch = call('HGET', BATCHES, source)
  if batch then return is_complete(batch) end
  return call('HEXISTS', JOBS, source) == 0 or ended_as(source, 'c') ~= nil
end

-- How many of those that it waits for have not completed.
local function blockers_of(id)
  local blockers = 0
  for _, each in ipairs(call('ZRANGEBYLEX', SOURCES, '[' .. id, '[' .. id .. HIGHEST)) do
    if not is_done(sub(each, 17)) then blockers = blockers + 1 end
  end
  return blockers
end

-- Its counters are at zero, and its last ending is told as retried.
local function begin_anew(id, last, blockers)
  local record = call('HGET', JOBS, id)
  local lane = sub(record, 1, 7 + byte(record, 2) * 256 + byte(record, 3))
  call('HSET', OUTCOMES, id, sub(last, 1, 4) .. 'r' .. sub(last, 6))
  call('ZREM', ENDED[sub(last, 5, 5)], id)
  call('HDEL', PROGRESS, id)
  if blockers == 0 then return make_pending(id, string.rep('\0', 12), lane) end
  call('HSET', WORK, id, 'b' .. string.rep('\0', 20) .. pack('>I4', blockers) .. lane)
  call('SADD', BLOCKED, id)
  count('b', queue_of(lane), 1)
end

-- Brings back what was cancelled since `id` had ended: what has not begun, and waits for it or its batch.
local function bring_back(id, ending)
  local ids, at = {id}, 1
  while ids[at] do
    local each = ids[at]
    local last, bonds = at > 1 and ended_as(each, 'x'), call('HGET', BONDS, each)
    if last and bonds and not may_come_back(each, bonds) then last = nil end
    if last then begin_anew(each, last, blockers_of(each))
    elseif at > 1 then bonds = nil
    end
    local waiting = bonds and next_of(bonds) or {}
    local batch = bonds and batch_of(bonds)
    local known = batch and call('HGET', BATCHES, batch)
    if known then
      local failed = at == 1 and ending == 'f'
      count_batch(batch, {n = 0, c = 0, f = failed and -1 or 0, x = failed and 0 or -1, is_back = true})
      for _, other in ipairs(waiting_for(known, ALL)) do waiting[#waiting + 1] = other end
    end
    for _, other in ipairs(waiting) do
      local past = ended_as(other, 'x')
      if other ~= id and past and unpack_from('>I4', past, 30) == 0 then ids[#ids + 1] = other end
    end
    at = at + 1
  end
end

local retried = 0
for n = 2, #ARGV do
  local id = ARGV[n]
  local last = ended_as(id, 'fx')
  local bonds = last and call('HGET', BONDS, id)
  if last and (not bonds or may_come_back(id, bonds)) then
    if bonds then bring_back(id, sub(last, 5, 5)) end
    begin_anew(id, last, blockers_of(id))
    retried = retried + 1
  end
end
write_lanes()
write_counts()
wake()
return retried

-- New jobs: id, stand (`work` without its kind) and record of each. Known ids are passed over.
local function add(source, first, last)
  local ids, known, jobs, works, indexed = {}, nil, {}, {}, {}
  for at = first, last, 3 do ids[#ids + 1] = source[at] end
  known = many_of('HMGET', JOBS, ids)
  reserve(#ids)
  local seen, n, indexes = {}, 0, 0
  for k, id in ipairs(ids) do
    if not known[k] and not seen[id] then
      seen[id] = true
      local stand = source[first + 3 * k - 2]
      local lane, work = sub(stand, 25), nil
      local due = sub(stand, 1, 8)
      if sub(stand, 21, 24) ~= NO_BLOCKERS then
        work = 'b' .. stand
        call('SADD', BLOCKED, id)
        count('b', queue_of(lane), 1)
      elseif due ~= NOTHING8 and unpack_from('>I8', due) > now() then
        work = 's' .. stand
        call('ZADD', DUE, (unpack_from('>I8', due)), id)
        count('s', queue_of(lane), 1)
      else
        local place = next_place()
        work = 'p' .. place .. sub(stand, 9)
        append(lane, place .. id)
        count('p', queue_of(lane), 1)
      end
      jobs[n + 1], jobs[n + 2] = id, source[first + 3 * k - 1]
      works[n + 1], works[n + 2] = id, work
      indexed[n + 1], indexed[n + 2] = 0, id
      n = n + 2
    end
  end
  many('HSET', JOBS, jobs)
  many('HSET', WORK, works)
  many('ZADD', IDS, indexed)
end

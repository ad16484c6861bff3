-- New jobs: id, stand (`work` without its kind, and behind it the bonds of what has some) and record of
-- each. Known ids are passed over.
local new_jobs, new_works, new_ids = {}, {}, {}

local function write_added()
  many('HSET', JOBS, new_jobs)
  many('HSET', WORK, new_works)
  many('ZADD', IDS, new_ids)
  new_jobs, new_works, new_ids = {}, {}, {}
end

local function stand_end(stand)
  return 31 + byte(stand, 26) * 256 + byte(stand, 27)
end

-- `admit(id, due, bonds)`: when one that has bonds is due; nothing, where it is not to be kept.
local function add(source, first, last, admit)
  local ids, known = {}, nil
  for at = first, last, 3 do ids[#ids + 1] = source[at] end
  known = many_of('HMGET', JOBS, ids)
  reserve(#ids)
  local seen = {}
  for k, id in ipairs(ids) do
    local stand = source[first + 3 * k - 2]
    local stop, due = stand_end(stand), sub(stand, 1, 8)
    local is_new = not known[k] and not seen[id]
    if is_new and #stand > stop then due = admit(id, due, sub(stand, stop + 1)) end
    if is_new and due then
      seen[id] = true
      local lane, work = sub(stand, 25, stop), nil
      if sub(stand, 21, 24) ~= NO_BLOCKERS then
        work = 'b' .. due .. sub(stand, 9, stop)
        call('SADD', BLOCKED, id)
        count('b', queue_of(lane), 1)
      elseif due ~= NOTHING8 and unpack_from('>I8', due) > now() then
        work = 's' .. due .. sub(stand, 9, stop)
        call('ZADD', DUE, (unpack_from('>I8', due)), id)
        count('s', queue_of(lane), 1)
      else
        local place = next_place()
        work = 'p' .. place .. sub(stand, 9, stop)
        append(lane, place .. id)
        count('p', queue_of(lane), 1)
      end
      local n = #new_jobs
      new_jobs[n + 1], new_jobs[n + 2] = id, source[first + 3 * k - 1]
      new_works[n + 1], new_works[n + 2] = id, work
      new_ids[n + 1], new_ids[n + 2] = 0, id
    end
  end
  write_added()
end

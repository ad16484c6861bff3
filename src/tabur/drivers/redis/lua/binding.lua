-- New jobs that have bonds.
local new_bonds, new_members, new_sources = {}, {}, {}
-- Jobs that were not kept, each with the one that holds its key.
local holders = {}

local function write_bound()
  many('HSET', BONDS, new_bonds)
  many('ZADD', MEMBERS, new_members)
  many('ZADD', SOURCES, new_sources)
  new_bonds, new_members, new_sources = {}, {}, {}
end

local function let_wait(ids, source)
  for _, id in ipairs(ids) do
    local n = #new_sources
    new_sources[n + 1], new_sources[n + 2] = 0, id .. source
  end
end

local function put_off(id, work, due)
  local kind, lane = kind_of(work), lane_of(work)
  if kind == 'p' and unpack_from('>I8', due) <= now() then return end
  if kind == 'b' or kind == 't' then
    call('HSET', WORK, id, kind .. due .. sub(work, 10))
    return
  end
  if kind == 's' then call('ZREM', DUE, id) end
  count(kind, queue_of(lane), -1)
  make_wait(id, unpack_from('>I8', due), sub(work, 10, 21), lane)
end

-- Answers when it is due; or nothing, and who holds its key.
local function take_key(id, due, bonds)
  local key, conflict = key_of(bonds), sub(bonds, 34, 34)
  local window, longest = unpack_from('>I8', bonds, 35), unpack_from('>I8', bonds, 43)
  local ends_at = holds(bonds) == 'w' and now() + window or 0
  local holder = call('HGET', UNIQUE, key)
  if not holder or is_over(holder) then
    hold(key, id, now(), ends_at)
    return due
  end
  local other, since = sub(holder, 1, 16), unpack_from('>I8', holder, 17)
  if conflict == 's' then return nil, other end
  if longest ~= 0 and due ~= NOTHING8 then
    due = pack('>I8', math.min(unpack_from('>I8', due), since + longest - 1))
  end
  write_added() -- the other one may have come just before
  local work = call('HGET', WORK, other)
  local waits = work and kind_of(work) ~= 'r' and kind_of(work) ~= 'c'
  if conflict == 'e' then
    if ends_at ~= 0 and has_window(holder) then hold(key, other, since, ends_at) end
    if waits then put_off(other, work, due) end
    return nil, other
  end
  hold(key, id, since, ends_at)
  if waits then cancel_now(other, work, REPLACED) end
  return due
end

local function admit(id, due, bonds)
  if holds(bonds) ~= '-' then
    local holder
    due, holder = take_key(id, due, bonds)
    if not due then
      holders[#holders + 1], holders[#holders + 2] = id, holder
      return
    end
  end
  local n, batch = #new_bonds, batch_of(bonds)
  new_bonds[n + 1], new_bonds[n + 2] = id, bonds
  if batch then
    local tally, m = tally_of(batch), #new_members
    tally.n = tally.n + 1
    new_members[m + 1], new_members[m + 2] = 0, batch .. id
  end
  let_wait(next_of(bonds), id)
  return due
end

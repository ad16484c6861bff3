local some_are_bound

local function erase_bonds(id)
  call('ZREMRANGEBYLEX', SOURCES, '[' .. id, '[' .. id .. HIGHEST)
  local bonds = call('HGET', BONDS, id)
  if not bonds then return end
  call('HDEL', BONDS, id)
  if batch_of(bonds) then call('ZREM', MEMBERS, batch_of(bonds) .. id) end
  for _, waiting in ipairs(next_of(bonds)) do call('ZREM', SOURCES, waiting .. id) end
end

-- Removes all there is of a job but its place among those of its state.
local function erase(id, last)
  local fields = {id}
  if last then
    local newest = unpack_from('>I4', last)
    for n = math.max(1, newest - HISTORY), newest - 1 do fields[#fields + 1] = field_of(id, n) end
  end
  call('HDEL', OUTCOMES, unpack(fields))
  call('HDEL', JOBS, id)
  call('HDEL', PROGRESS, id)
  call('HDEL', FILES, id)
  call('ZREM', IDS, id)
  if some_are_bound == nil then some_are_bound = call('EXISTS', BONDS, SOURCES) > 0 end
  if some_are_bound then erase_bonds(id) end
end

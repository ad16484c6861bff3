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
end

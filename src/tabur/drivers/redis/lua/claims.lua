-- What is held, and by whom.
local function is_held(work, token)
  local kind = byte(work, 1)
  if kind ~= 114 and kind ~= 99 then return false end
  local last = lane_end(work)
  return sub(work, last + 1, last + 16) == token
end

local function end_claim(id, work)
  local last = lane_end(work)
  local token = sub(work, last + 1, last + 16)
  call('SREM', CLAIM .. token, id)
  if call('EXISTS', CLAIM .. token) == 0 then
    local worker = sub(work, last + 25)
    call('ZREM', CLAIMS, pack('>I2', #worker) .. worker .. token)
  end
  if kind_of(work) == 'c' then call('SREM', MARKED, id) end
  count('r', queue_of(lane_of(work)), -1)
end

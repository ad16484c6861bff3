-- History: the last outcome of a job under its id, those before it under id and number.
local FIRST = pack('>I4', 1)

local function field_of(id, n)
  return id .. pack('>I4', n)
end

-- `before`: the last outcome so far, or false.
local function numbered(id, outcome, before)
  if not before then return FIRST .. outcome end
  local last = unpack_from('>I4', before)
  local n = last + 1
  call('HSET', OUTCOMES, field_of(id, last), before)
  if n > HISTORY then call('HDEL', OUTCOMES, field_of(id, n - HISTORY)) end
  return pack('>I4', n) .. outcome
end

local function remember(id, outcome)
  call('HSET', OUTCOMES, id, numbered(id, outcome, call('HGET', OUTCOMES, id)))
end

local function ended_at(outcome)
  return (unpack_from('>I8', outcome, 2))
end

-- The lists of what may be claimed, and who is told of it.
local appended, filled, woken = {}, {}, false
local reserved, left = 0, 0

local function reserve(places)
  reserved = call('INCRBY', PLACES, places) - places
  left = places
end

local function next_place()
  if left == 0 then reserve(1) end
  reserved, left = reserved + 1, left - 1
  return pack('>I8', reserved)
end

local function append(lane, entry)
  local entries = appended[lane]
  if entries then entries[#entries + 1] = entry else appended[lane] = {entry} end
end

-- Who waits is told only where a lane was empty: before it lets a job lie, a worker is full.
local function write_lanes()
  for lane, entries in pairs(appended) do
    if many('RPUSH', LANE .. lane, entries) == #entries then
      call('ZADD', LANES, 0, lane)
      filled[lane] = true
    end
  end
  appended = {}
end

local function wake()
  if not woken then
    for lane in pairs(filled) do
      woken = woken or call('EXISTS', LANE .. lane) == 1
    end
  end
  if woken then call('PUBLISH', WAKE, '') end
end

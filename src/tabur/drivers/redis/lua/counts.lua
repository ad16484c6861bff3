-- Counts of unfinished jobs: kind and queue → how many.
local changes = {}

local function queue_of(lane)
  return sub(lane, 4, -5)
end

local function count(kind, queue, by)
  if kind == 'c' then kind = 'r' end
  local field = kind .. queue
  changes[field] = (changes[field] or 0) + by
end

local function write_counts()
  for field, by in pairs(changes) do
    if by ~= 0 and call('HINCRBY', SIZES, field, by) == 0 then call('HDEL', SIZES, field) end
  end
end

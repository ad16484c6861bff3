-- Parts of `work`.
local function lane_end(work)
  return 32 + byte(work, 27) * 256 + byte(work, 28)
end

local function lane_of(work)
  return sub(work, 26, lane_end(work))
end

local function kind_of(work)
  return sub(work, 1, 1)
end

local function due_of(work)
  return (unpack_from('>I8', work, 2))
end

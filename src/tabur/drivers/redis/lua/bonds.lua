-- Parts of `bonds` and of a batch.
local ONLY_BATCH = 17
local TALLY, TALLY_SIZE = '>I8I4I4I4I4I8I8BB', 42
-- Who waits for a batch: for all of it, for its first failure, for its end.
local ALL, FAILURE, ENDING = 1, 2, 3

local function batch_of(bonds)
  local batch = sub(bonds, 1, 16)
  return batch ~= NO_TOKEN and batch
end

local function holds(bonds)
  return sub(bonds, 17, 17)
end

local function key_of(bonds)
  return sub(bonds, 18, 33)
end

local function ids_in(text, first, last)
  local ids = {}
  for at = first, last, 16 do ids[#ids + 1] = sub(text, at, at + 15) end
  return ids
end

local function next_of(bonds)
  return ids_in(bonds, holds(bonds) == '-' and ONLY_BATCH + 1 or 51, #bonds)
end

local function waiting_for(batch, which)
  local first = TALLY_SIZE + 13
  for n = 1, which - 1 do first = first + 16 * unpack_from('>I4', batch, TALLY_SIZE - 3 + 4 * n) end
  return ids_in(batch, first, first + 16 * unpack_from('>I4', batch, TALLY_SIZE - 3 + 4 * which) - 1)
end

local function has_finished(batch)
  return sub(batch, 33, 40) ~= NOTHING8
end

local function is_open(batch)
  return byte(batch, 42) == 1
end

-- Whether all of its jobs have completed.
local function is_complete(batch)
  return has_finished(batch) and sub(batch, 17, 24) == NOTHING8
end

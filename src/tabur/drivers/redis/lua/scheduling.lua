-- What the scripts of schedules share: their keys, which are the last eight, and the moves between them.
--
-- schedules: name → revision(8) next_run_at(8) is_active(1) origin(1) waiting(8) last_run_at(8)
--            last_job(16) and what only the client reads. A moment is one more than it is; 0: none.
-- names:     all of them, by name. Those of each origin stand in a set.
-- due:       the active ones that have a next moment, by it.
-- ticks:     moment(8) name → what only the client reads; its fields by moment, and those of each
--            schedule as name moment(8). (A name has no NUL, and each moment begins with one.)
local call, sub = redis.call, string.sub
local pack, unpack_from = struct.pack, struct.unpack

local LAST = #KEYS
local SCHEDULES, NAMES, SCHEDULES_DUE = KEYS[LAST - 7], KEYS[LAST - 6], KEYS[LAST - 5]
local OF_ORIGIN = {c = KEYS[LAST - 4], t = KEYS[LAST - 3]}
local TICKS, TICKS_DUE, TICKS_OF = KEYS[LAST - 2], KEYS[LAST - 1], KEYS[LAST]
local NO_MOMENT = string.rep('\0', 8)

-- Keeps a schedule, and where it stands.
local function keep(name, value)
  call('HSET', SCHEDULES, name, value)
  local at = sub(value, 9, 16)
  if sub(value, 17, 17) == '1' and at ~= NO_MOMENT then
    call('ZADD', SCHEDULES_DUE, unpack_from('>I8', at) - 1, name)
  else
    call('ZREM', SCHEDULES_DUE, name)
  end
end

local function remove(name)
  local stored = call('HGET', SCHEDULES, name)
  if not stored then return 0 end
  call('HDEL', SCHEDULES, name)
  call('ZREM', NAMES, name)
  call('ZREM', SCHEDULES_DUE, name)
  call('SREM', OF_ORIGIN[sub(stored, 18, 18)], name)
  return 1
end

-- The values of some names, each behind its name.
local function with_values(names)
  local found = {}
  for _, name in ipairs(names) do
    found[#found + 1] = name
    found[#found + 1] = call('HGET', SCHEDULES, name)
  end
  return found
end

-- Unique keys, and who holds them.
local function has_window(holder)
  return sub(holder, 25, 32) ~= NOTHING8
end

local function is_over(holder)
  local ends_at = unpack_from('>I8', holder, 25)
  return ends_at ~= 0 and ends_at <= now()
end

-- `ends_at`: 0, where its end frees it.
local function hold(key, id, since, ends_at)
  call('HSET', UNIQUE, key, id .. pack('>I8', since) .. pack('>I8', ends_at))
  if ends_at ~= 0 then call('ZADD', WINDOWS, ends_at, key) else call('ZREM', WINDOWS, key) end
end

-- Frees the key of a job, unless that has a window or has gone over to another one.
local function free(id, bonds)
  if holds(bonds) ~= 'e' and holds(bonds) ~= 's' then return end
  local key = key_of(bonds)
  local holder = call('HGET', UNIQUE, key)
  if holder and sub(holder, 1, 16) == id then
    call('HDEL', UNIQUE, key)
    call('ZREM', WINDOWS, key)
  end
end

-- Removes some keys whose window has passed.
local function sweep()
  local keys = call('ZRANGEBYSCORE', WINDOWS, '-inf', now(), 'LIMIT', 0, 1000)
  if #keys == 0 then return end
  call('ZREM', WINDOWS, unpack(keys))
  call('HDEL', UNIQUE, unpack(keys))
end

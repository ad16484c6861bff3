-- What all scripts share: the keys, the values in them, and the moves between their places.
--
-- work:    kind(1) place(8) attempts(4) exceptions(4) crashes(4) blockers(4) lane, and of a claimed
--          job also token(16) claimed_at(8) worker. `place` is the job's number in its lane while it
--          is pending or processing, else the moment at which it is due (0: at once).
-- lane:    isolation(1) length of queue(2) queue rank(4). A smaller rank is claimed first.
-- entry:   place(8) id(16), in the list of a lane. It counts only as long as `work` agrees: what
--          leaves a lane otherwise than from its head stays behind there and is passed over.
-- outcome: n(4) ending(1) ended_at(8) token(16) attempt(4) and what only the client reads.
-- Kinds:   p pending, s scheduled, b blocked, t taken out, r processing, c processing and called back.
local call, byte, sub = redis.call, string.byte, string.sub
local pack, unpack_from = struct.pack, struct.unpack

local JOBS, WORK, OUTCOMES, PROGRESS, FILES, IDS = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local LANES, RETURNED, DUE, BLOCKED, TAKEN = KEYS[7], KEYS[8], KEYS[9], KEYS[10], KEYS[11]
local CLAIMS, MARKED, SIZES, PLACES, WAKE = KEYS[12], KEYS[13], KEYS[14], KEYS[15], KEYS[19]
local ENDED = {c = KEYS[16], f = KEYS[17], x = KEYS[18]}
-- One list per lane and one set per token lie beside these, under names that begin with theirs.
local LANE, CLAIM = LANES .. ':', CLAIMS .. ':'

local NOTHING8, NO_BLOCKERS = string.rep('\0', 8), string.rep('\0', 4)
local NO_TOKEN, HIGHEST = string.rep('\0', 16), string.rep('\255', 41)
-- Outcomes kept of one job. Arguments of one call: Lua's stack ends at 8,000.
local HISTORY, AT_ONCE = 200, 4000

local clock
local function now()
  if not clock then
    clock = tonumber(ARGV[1])
    if not clock then
      local time = call('TIME')
      clock = time[1] * 1000000 + time[2]
    end
  end
  return clock
end

-- A command of many arguments; answers what its last part answered.
local function many(command, key, arguments)
  local answer
  for first = 1, #arguments, AT_ONCE do
    answer = call(command, key, unpack(arguments, first, math.min(first + AT_ONCE - 1, #arguments)))
  end
  return answer
end

local function many_of(command, key, fields)
  if #fields > 0 and #fields <= AT_ONCE then return call(command, key, unpack(fields)) end
  local answer = {}
  for first = 1, #fields, AT_ONCE do
    local last = math.min(first + AT_ONCE - 1, #fields)
    local part = call(command, key, unpack(fields, first, last))
    for n = 1, last - first + 1 do answer[first + n - 1] = part[n] end
  end
  return answer
end

-- counts of unfinished jobs: kind and queue → how many

local changes = {}

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

-- parts of values

local function lane_end(work)
  return 32 + byte(work, 27) * 256 + byte(work, 28)
end

local function lane_of(work)
  return sub(work, 26, lane_end(work))
end

local function queue_of(lane)
  return sub(lane, 4, -5)
end

local function kind_of(work)
  return sub(work, 1, 1)
end

local function due_of(work)
  return (unpack_from('>I8', work, 2))
end

local function is_held(work, token)
  local kind = byte(work, 1)
  if kind ~= 114 and kind ~= 99 then return false end
  local last = lane_end(work)
  return sub(work, last + 1, last + 16) == token
end

-- lanes

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

-- `counters`: attempts, exceptions, crashes.
local function make_pending(id, counters, lane)
  local place = next_place()
  call('HSET', WORK, id, 'p' .. place .. counters .. NO_BLOCKERS .. lane)
  append(lane, place .. id)
  count('p', queue_of(lane), 1)
end

local function make_wait(id, due, counters, lane)
  if due == 0 or due <= now() then return make_pending(id, counters, lane) end
  call('HSET', WORK, id, 's' .. pack('>I8', due) .. counters .. NO_BLOCKERS .. lane)
  call('ZADD', DUE, due, id)
  count('s', queue_of(lane), 1)
end

local function promote(at_most)
  if call('EXISTS', DUE) == 0 then return end
  local ids = call('ZRANGEBYSCORE', DUE, '-inf', now(), 'LIMIT', 0, at_most)
  if #ids == 0 then return end
  call('ZREM', DUE, unpack(ids))
  reserve(#ids)
  local works, written = call('HMGET', WORK, unpack(ids)), {}
  for n, id in ipairs(ids) do
    local work, place = works[n], next_place()
    local lane = lane_of(work)
    written[2 * n - 1], written[2 * n] = id, 'p' .. place .. sub(work, 10)
    append(lane, place .. id)
    count('s', queue_of(lane), -1)
    count('p', queue_of(lane), 1)
  end
  many('HSET', WORK, written)
end

-- claims

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

-- outcomes

local function field_of(id, n)
  return id .. pack('>I4', n)
end

-- `before`: the last outcome so far, or false.
local function numbered(id, outcome, before)
  local n = 1
  if before then
    local last = unpack_from('>I4', before)
    n = last + 1
    call('HSET', OUTCOMES, field_of(id, last), before)
    if n > HISTORY then call('HDEL', OUTCOMES, field_of(id, n - HISTORY)) end
  end
  return pack('>I4', n) .. outcome
end

local function remember(id, outcome)
  call('HSET', OUTCOMES, id, numbered(id, outcome, call('HGET', OUTCOMES, id)))
end

local function ended_at(outcome)
  return (unpack_from('>I8', outcome, 2))
end

-- `rest`: worker, times and error, as the client packs them.
local function cancel_now(id, work, rest)
  local kind, lane = kind_of(work), lane_of(work)
  if kind == 's' then call('ZREM', DUE, id)
  elseif kind == 'b' then call('SREM', BLOCKED, id)
  elseif kind == 't' then call('SREM', TAKEN, id)
  end
  if kind == 'r' or kind == 'c' then end_claim(id, work)
  else count(kind == 't' and 'b' or kind, queue_of(lane), -1)
  end
  call('HDEL', WORK, id)
  remember(id, 'x' .. pack('>I8', now()) .. NO_TOKEN .. sub(work, 10, 13) .. rest)
  call('ZADD', ENDED.x, now(), id)
end

-- Answers x cancelled, c called back, f finished, u unknown.
local function cancel(id, rest)
  local work = call('HGET', WORK, id)
  if not work then return call('HEXISTS', JOBS, id) == 1 and 'f' or 'u' end
  local kind = kind_of(work)
  if kind == 'c' then return 'c' end
  if kind == 'r' then
    call('HSET', WORK, id, 'c' .. sub(work, 2))
    call('SADD', MARKED, id)
    return 'c'
  end
  cancel_now(id, work, rest)
  return 'x'
end

-- New jobs: id, stand (`work` without its kind) and record of each. Known ids are passed over.
local function add(source, first, last)
  local ids, known, jobs, works, indexed = {}, nil, {}, {}, {}
  for at = first, last, 3 do ids[#ids + 1] = source[at] end
  known = many_of('HMGET', JOBS, ids)
  reserve(#ids)
  local seen, n, indexes = {}, 0, 0
  for k, id in ipairs(ids) do
    if not known[k] and not seen[id] then
      seen[id] = true
      local stand = source[first + 3 * k - 2]
      local lane, work = sub(stand, 25), nil
      local due = sub(stand, 1, 8)
      if sub(stand, 21, 24) ~= NO_BLOCKERS then
        work = 'b' .. stand
        call('SADD', BLOCKED, id)
        count('b', queue_of(lane), 1)
      elseif due ~= NOTHING8 and unpack_from('>I8', due) > now() then
        work = 's' .. stand
        call('ZADD', DUE, (unpack_from('>I8', due)), id)
        count('s', queue_of(lane), 1)
      else
        local place = next_place()
        work = 'p' .. place .. sub(stand, 9)
        append(lane, place .. id)
        count('p', queue_of(lane), 1)
      end
      jobs[n + 1], jobs[n + 2] = id, source[first + 3 * k - 1]
      works[n + 1], works[n + 2] = id, work
      indexed[n + 1], indexed[n + 2] = 0, id
      n = n + 2
    end
  end
  many('HSET', JOBS, jobs)
  many('HSET', WORK, works)
  many('ZADD', IDS, indexed)
end

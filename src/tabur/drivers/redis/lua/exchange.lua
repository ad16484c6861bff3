-- One turn of a worker. ARGV: now, worker, token, watch, number of moves, number of different bonds; a head
-- and an outcome of each move, the bonds, more of those moves whose head says so; number of reports, then id and token, progress of each;
-- number of isolations, then isolation, slots of each; number of queues, then each as in a lane.
-- head: id(16) token(16) to(1) more(1) attempts(4) exceptions(4) crashes(4) due(8), and of what has bonds
--       which of them (4).
-- More: progress, outcome if it was called back, number of follow-ups, then kind and arguments of each.
-- Answers: now, an answer (d done, s stale, u unknown) for each move, next due moment, whether there is
-- more to claim, ids called back, claims.
local worker, token, watch, moves = ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5])
local HEAD, FIRST_BONDS = 54, 7 + 2 * moves
local IS_END = {c = true, f = true, x = true}
-- Entries passed over in one call, so that it stays short whatever was cancelled; due jobs promoted.
local PASSED_OVER, PROMOTED = 5000, 1000

local at = FIRST_BONDS + tonumber(ARGV[6])
local function take()
  at = at + 1
  return ARGV[at - 1]
end

-- Ends without follow-ups are gathered, and written with few commands.
local gathered, is_gathered = {}, {}

local function write_gathered()
  if #gathered == 0 then return end
  local ids, outcomes, reports, unmarked = {}, {}, {}, {}
  local ended, tokens, workers, queues = {}, {}, {}, {}
  for n = 1, #gathered do ids[n] = gathered[n].id end
  local before = many_of('HMGET', OUTCOMES, ids)
  many('HDEL', WORK, ids)
  for n, each in ipairs(gathered) do
    local id, work, outcome = each.id, each.work, each.outcome
    outcomes[2 * n - 1], outcomes[2 * n] = id, numbered(id, outcome, before[n])
    local scores = ended[each.to]
    if not scores then scores = {}; ended[each.to] = scores end
    scores[#scores + 1] = ended_at(outcome)
    scores[#scores + 1] = id
    if each.progress ~= '' then
      reports[#reports + 1] = id
      reports[#reports + 1] = each.progress
    end
    if each.bonds then end_bound(id, each.to, each.bonds) end
    if byte(work, 1) == 99 then unmarked[#unmarked + 1] = id end
    local last, held = lane_end(work), tokens[each.token]
    if held then
      held[#held + 1] = id
    else
      tokens[each.token], workers[each.token] = {id}, sub(work, last + 25)
    end
    local queue = sub(work, 29, last - 4)
    queues[queue] = (queues[queue] or 0) + 1
  end
  for queue, less in pairs(queues) do count('r', queue, -less) end
  many('HSET', OUTCOMES, outcomes)
  for to, scores in pairs(ended) do many('ZADD', ENDED[to], scores) end
  if #reports > 0 then many('HSET', PROGRESS, reports) end
  if #unmarked > 0 then many('SREM', MARKED, unmarked) end
  for token, held in pairs(tokens) do
    many('SREM', CLAIM .. token, held)
    if call('EXISTS', CLAIM .. token) == 0 then
      call('ZREM', CLAIMS, pack('>I2', #workers[token]) .. workers[token] .. token)
    end
  end
  gathered, is_gathered = {}, {}
end

-- Whether `token` ended an attempt of a job that it holds no more.
local function answer_late(id, token)
  local last = call('HGET', OUTCOMES, id)
  if not last then return call('HEXISTS', JOBS, id) == 1 and 's' or 'u' end
  if sub(last, 14, 29) == token then return 'd' end
  for n = unpack_from('>I4', last) - 1, 1, -1 do
    local outcome = call('HGET', OUTCOMES, field_of(id, n))
    if not outcome then break end
    if sub(outcome, 14, 29) == token then return 'd' end
  end
  return 's'
end

-- Follow-ups stand in ARGV at `at`; with `refused` they are passed over.
local function follow_up(refused)
  for _ = 1, tonumber(take()) do
    local kind = take()
    if kind == 'u' then
      local id = take()
      if not refused then unblock(id) end
    elseif kind == 'x' then
      local id, rest = take(), take()
      if not refused then cancel(id, rest) end
    else
      if not refused then
        free_keys()
        add(ARGV, at, at + 2, admit)
      end
      at = at + 3
    end
  end
end

local function settle(id, work, head, outcome, progress, called_back, bonds)
  local to = sub(head, 33, 33)
  local off = kind_of(work) == 'c' and not IS_END[to]
  if off then to, outcome = 'x', called_back end
  end_claim(id, work)
  call('HDEL', WORK, id)
  if outcome ~= '' then remember(id, outcome) end
  if progress ~= '' then call('HSET', PROGRESS, id, progress) end
  if IS_END[to] then
    call('ZADD', ENDED[to], ended_at(outcome), id)
    if bonds then end_bound(id, to, bonds) end
  else
    local lane = lane_of(work)
    if sub(head, 43, 46) ~= NO_BLOCKERS then lane = 'p' .. sub(lane, 2) end
    make_wait(id, unpack_from('>I8', head, 47), sub(head, 35, 46), lane)
  end
  follow_up(off)
end

local answers = {}
if moves > 0 then
  local ids, touched, changed = {}, {}, false
  for n = 1, moves do ids[n] = sub(ARGV[6 + n], 1, 16) end
  local works = many_of('HMGET', WORK, ids)
  for n = 1, moves do
    local id, head, outcome = ids[n], ARGV[6 + n], ARGV[6 + moves + n]
    local progress, called_back, follow_ups = '', '', '0'
    local has_more = byte(head, 34) == 49
    local bonds = #head > HEAD and ARGV[FIRST_BONDS + unpack_from('>I4', head, HEAD + 1)]
    if has_more then
      progress, called_back, follow_ups = take(), take(), ARGV[at]
    end
    if is_gathered[id] then write_gathered() end
    local work = works[n]
    if changed or touched[id] then work = call('HGET', WORK, id) end
    touched[id] = true
    local token, to = sub(head, 17, 32), sub(head, 33, 33)
    local held = work and is_held(work, token)
    if held and follow_ups == '0' and IS_END[to] then
      if has_more then at = at + 1 end
      gathered[#gathered + 1] = {
        id = id, work = work, token = token, to = to, outcome = outcome, progress = progress,
        bonds = bonds,
      }
      is_gathered[id] = true
      answers[n] = 'd'
    elseif held then
      write_gathered()
      settle(id, work, head, outcome, progress, called_back, bonds)
      changed = true
      answers[n] = 'd'
    else
      if has_more then follow_up(true) end
      answers[n] = answer_late(id, token)
    end
  end
  write_gathered()
  write_bound()
  follow()
end

local reports = tonumber(take())
-- A server whose memory is full lets a script go on that has removed something: workers must drain it.
if reports > 0 then call('HDEL', PROGRESS, '') end
for _ = 1, reports do
  local claim, progress = take(), take()
  local id = sub(claim, 1, 16)
  local work = call('HGET', WORK, id)
  if work and is_held(work, sub(claim, 17)) then call('HSET', PROGRESS, id, progress) end
end

local function promote()
  if call('EXISTS', DUE) == 0 then return end
  local ids = call('ZRANGEBYSCORE', DUE, '-inf', now(), 'LIMIT', 0, PROMOTED)
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

promote()
write_lanes()

-- claims

local claimed, passed_over, more = {}, 0, 0

-- The next entries of a lane; what was released goes before what came later.
local function next_entries(lane, wanted)
  if call('EXISTS', RETURNED) == 0 then return call('LPOP', LANE .. lane, wanted) end
  local entries = {}
  while #entries < wanted do
    local back = call('ZRANGEBYLEX', RETURNED, '[' .. lane, '[' .. lane .. HIGHEST, 'LIMIT', 0, 1)[1]
    local first = call('LINDEX', LANE .. lane, 0)
    local entry = back and sub(back, #lane + 1)
    if not entry and not first then break end
    if entry and (not first or unpack_from('>I8', entry) < unpack_from('>I8', first)) then
      call('ZREM', RETURNED, back)
    else
      entry = call('LPOP', LANE .. lane)
    end
    entries[#entries + 1] = entry
  end
  return #entries > 0 and entries
end

local held_by = token .. pack('>I8', now()) .. worker

-- Answers how many were claimed.
local function claim(lane, slots)
  local taken, queue = 0, queue_of(lane)
  while taken < slots do
    if passed_over >= PASSED_OVER then
      more = 1
      break
    end
    local entries = next_entries(lane, math.min(slots - taken, 1000))
    if not entries then
      call('ZREM', LANES, lane)
      break
    end
    local ids, mine, written, stands = {}, {}, {}, {}
    for n, entry in ipairs(entries) do ids[n] = sub(entry, 9) end
    local works = call('HMGET', WORK, unpack(ids))
    for n, id in ipairs(ids) do
      local work = works[n]
      if work and byte(work, 1) == 112 and sub(work, 2, 9) == sub(entries[n], 1, 8) then
        local k = #mine + 1
        mine[k], stands[k] = id, id .. sub(lane, 1, 1) .. sub(work, 10, 21)
        written[2 * k - 1], written[2 * k] = id, 'r' .. sub(work, 2) .. held_by
      else
        passed_over = passed_over + 1
      end
    end
    if #mine > 0 then
      call('HSET', WORK, unpack(written))
      call('SADD', CLAIM .. token, unpack(mine))
      local records = call('HMGET', JOBS, unpack(mine))
      for k, record in ipairs(records) do
        claimed[#claimed + 1] = stands[k]
        claimed[#claimed + 1] = record
      end
      taken = taken + #mine
    end
  end
  count('p', queue, -taken)
  count('r', queue, taken)
  return taken
end

local isolations, free = {}, {}
for n = 1, tonumber(take()) do
  isolations[n] = take()
  free[n] = tonumber(take())
end
for _ = 1, tonumber(take()) do
  local queue = take()
  for n, isolation in ipairs(isolations) do
    if free[n] > 0 then
      local place = isolation .. queue
      for _, lane in ipairs(call('ZRANGEBYLEX', LANES, '[' .. place, '[' .. place .. HIGHEST)) do
        free[n] = free[n] - claim(lane, free[n])
        if free[n] == 0 then break end
      end
    end
  end
end
if #claimed > 0 then call('ZADD', CLAIMS, 0, pack('>I2', #worker) .. worker .. token) end
write_counts()
wake()

local called_back = {}
if watch == '1' then
  for _, id in ipairs(call('SMEMBERS', MARKED)) do
    local work = call('HGET', WORK, id)
    if sub(work, lane_end(work) + 25) == worker then called_back[#called_back + 1] = id end
  end
end
local next_due = call('ZRANGE', DUE, 0, 0, 'WITHSCORES')[2]
return {now(), table.concat(answers), next_due or '', more, called_back, claimed}

-- What follows from the end of jobs that have bonds.
local tallies, counted = {}, {}

local function unblock(id)
  local work = call('HGET', WORK, id)
  if not work or kind_of(work) ~= 'b' then return end
  local blockers = unpack_from('>I4', work, 22) - 1
  if blockers > 0 then
    call('HSET', WORK, id, sub(work, 1, 21) .. pack('>I4', blockers) .. sub(work, 26))
    return
  end
  local lane = lane_of(work)
  call('SREM', BLOCKED, id)
  count('b', queue_of(lane), -1)
  make_wait(id, due_of(work), sub(work, 10, 21), lane)
end

local function unblock_all(ids)
  for _, id in ipairs(ids) do unblock(id) end
end

local function cancel_blocked(ids, reason)
  for _, id in ipairs(ids) do
    local work = call('HGET', WORK, id)
    if work and kind_of(work) == 'b' then cancel_now(id, work, reason) end
  end
end

-- Changes of a batch, written together: n jobs that are new, and by ending those that are over.
local function tally_of(id)
  local tally = tallies[id]
  if not tally then
    tally = {n = 0, c = 0, f = 0, x = 0}
    tallies[id], counted[#counted + 1] = tally, id
  end
  return tally
end

-- As `ended` in tabur.model.batches; with `is_back`, as `tried_again`.
local function count_batch(id, tally)
  local batch = call('HGET', BATCHES, id)
  if not batch then return end
  local made, total, pending, failed, cancelled, cancelled_at, finished_at, allows, open =
    unpack_from(TALLY, batch)
  total, pending = total + tally.n, pending + tally.n - tally.c - tally.f - tally.x
  local is_first_failure = tally.f > 0 and failed == 0
  failed, cancelled = failed + tally.f, cancelled + tally.x
  if tally.is_back then cancelled_at = 0
  elseif tally.f > 0 and allows == 0 and cancelled_at == 0 then cancelled_at = now() + 1
  end
  if tally.is_closed then open = 0 end
  local finishes = pending == 0 and open == 0
  batch = pack(TALLY, made, total, pending, failed, cancelled, cancelled_at,
    finishes and now() + 1 or 0, allows, open) .. sub(batch, TALLY_SIZE + 1)
  call('HSET', BATCHES, id, batch)
  if finishes then
    call('ZREM', UNFINISHED, id)
    call('ZADD', FINISHED, now(), id)
  elseif finished_at ~= 0 then
    call('ZREM', FINISHED, id)
    call('ZADD', UNFINISHED, made, id)
  end
  if is_first_failure then unblock_all(waiting_for(batch, FAILURE)) end
  if finishes then
    unblock_all(waiting_for(batch, ENDING))
    if is_complete(batch) then unblock_all(waiting_for(batch, ALL))
    else cancel_blocked(waiting_for(batch, ALL), UNCOMPLETED)
    end
    if failed == 0 then cancel_blocked(waiting_for(batch, FAILURE), UNCOMPLETED) end
  end
end

-- Looks up the bonds of what is over, where they are not known.
local function look_up()
  local ids, asked = {}, {}
  for _, each in ipairs(over) do
    if each.bonds == nil then ids[#ids + 1], asked[#asked + 1] = each.id, each end
  end
  local found = many_of('HMGET', BONDS, ids)
  for n, each in ipairs(asked) do each.bonds = found[n] end
end

-- For what is to be added in the same turn, under the key of one that has ended in it.
local function free_keys()
  look_up()
  for _, each in ipairs(over) do
    if each.bonds then free(each.id, each.bonds) end
  end
end

local function count_end(bonds, ending)
  local batch = batch_of(bonds)
  if batch then
    local tally = tally_of(batch)
    tally[ending] = tally[ending] + 1
  end
end

-- Of a job whose bonds are known; most have no more than a batch.
local function end_bound(id, ending, bonds)
  if #bonds == ONLY_BATCH then count_end(bonds, ending) else has_ended(id, ending, bonds) end
end

local function end_bonds(id, ending, bonds)
  free(id, bonds)
  if ending == 'c' then unblock_all(next_of(bonds)) else cancel_blocked(next_of(bonds), DEPENDENCY) end
  count_end(bonds, ending)
end

-- Until nothing follows any more. Batches are counted when no job is left: each is written once for
-- all that ended, and how long a chain is does not matter.
local function follow()
  while #over > 0 or #counted > 0 do
    look_up()
    local ended = over
    over = {}
    for _, each in ipairs(ended) do
      if each.bonds then end_bonds(each.id, each.ending, each.bonds) end
    end
    if #over == 0 then
      local batches, changed = counted, tallies
      counted, tallies = {}, {}
      for _, id in ipairs(batches) do count_batch(id, changed[id]) end
    end
  end
end

local function finish()
  follow()
  write_lanes()
  write_counts()
  wake()
end

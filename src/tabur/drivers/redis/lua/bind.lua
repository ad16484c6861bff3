-- ARGV: now, whether this is the last part, how many batches, then id and value of each, id, stand and
-- record of each job. Answers nothing where a batch takes no more jobs, else what was not kept, each with
-- the job that holds its key.
local is_last, first = ARGV[2] == '1', 4 + 2 * tonumber(ARGV[3])

-- Of those given here, which had finished before: this is the same dispatch again.
local given, finished = {}, {}
for at = 4, first - 1, 2 do
  local known = call('HGET', BATCHES, ARGV[at])
  given[ARGV[at]], finished[ARGV[at]] = true, known and has_finished(known)
end

local function is_refused()
  local takes = {}
  for at = first, #ARGV, 3 do
    local stand = ARGV[at + 1]
    local stop = stand_end(stand)
    local batch = #stand > stop and batch_of(sub(stand, stop + 1))
    if batch and not given[batch] then
      if takes[batch] == nil then
        local known = call('HGET', BATCHES, batch)
        takes[batch] = known and not has_finished(known) or false
      end
      if not takes[batch] and call('HEXISTS', JOBS, ARGV[at]) == 0 then return true end
    end
  end
  return false
end

-- What such a one did not keep it does not keep now.
local function admit_again(id, due, bonds)
  local batch = batch_of(bonds)
  if batch and finished[batch] then return end
  return admit(id, due, bonds)
end

if is_refused() then return false end
for at = 4, first - 1, 2 do
  local id, batch = ARGV[at], ARGV[at + 1]
  if call('HSETNX', BATCHES, id, batch) == 1 then
    call('ZADD', BATCH_IDS, 0, id)
    call('ZADD', UNFINISHED, (unpack_from('>I8', batch)), id)
    let_wait(waiting_for(batch, ALL), id)
  end
end
for at = first, #ARGV, 3000 do
  add(ARGV, at, math.min(at + 2999, #ARGV), admit_again)
end
write_bound()
if is_last then
  for at = 4, first - 1, 2 do
    if is_open(call('HGET', BATCHES, ARGV[at])) then tally_of(ARGV[at]).is_closed = true end
  end
end
finish()
sweep()
return holders

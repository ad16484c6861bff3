-- What all scripts share: the keys, the values in them, and the moves between their places.
--
-- work:    kind(1) place(8) attempts(4) exceptions(4) crashes(4) blockers(4) lane, and of a claimed
--          job also token(16) claimed_at(8) worker. `place` is the job's number in its lane while it
--          is pending or processing, else the moment at which it is due (0: at once).
-- lane:    isolation(1) length of queue(2) queue rank(4). A smaller rank is claimed first.
-- entry:   place(8) id(16), in the list of a lane. It counts only as long as `work` agrees: what
--          leaves a lane otherwise than from its head stays behind there and is passed over.
-- outcome: n(4) ending(1) ended_at(8) token(16) attempt(4) and what only the client reads.
-- bonds:   batch(16) holds(1), and unless that is '-' key(16) conflict(1) window(8) longest(8); then the
--          ids of those that wait for it. holds: e until its end, s until its start, w for its window.
-- batch:   created_at(8) total(4) pending(4) failed(4) cancelled(4) cancelled_at(8) finished_at(8)
--          allows failures(1) is open(1), how many wait for all of it, for its first failure, for its
--          end (4 each), their ids, and what only the client reads. While it is open it does not finish.
-- unique:  job(16) since(8) ends_at(8), under the key.
--          Of a batch, a moment is one more than it is; there and here, 0: none.
-- sources: id(16) of a job that waits, and of a job or batch that it waits or has waited for.
-- Kinds:   p pending, s scheduled, b blocked, t taken out, r processing, c processing and called back.
local call, byte, sub = redis.call, string.byte, string.sub
local pack, unpack_from = struct.pack, struct.unpack

local JOBS, WORK, OUTCOMES, PROGRESS, FILES, IDS = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local LANES, RETURNED, DUE, BLOCKED, TAKEN = KEYS[7], KEYS[8], KEYS[9], KEYS[10], KEYS[11]
local CLAIMS, MARKED, SIZES, PLACES, WAKE = KEYS[12], KEYS[13], KEYS[14], KEYS[15], KEYS[19]
-- Jobs that have bonds, and what those name.
local BONDS, SOURCES, UNIQUE, WINDOWS, MEMBERS = KEYS[20], KEYS[21], KEYS[22], KEYS[23], KEYS[24]
local BATCHES, BATCH_IDS, UNFINISHED, FINISHED = KEYS[25], KEYS[26], KEYS[27], KEYS[28]
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

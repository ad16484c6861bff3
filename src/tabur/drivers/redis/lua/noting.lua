-- What the scripts of notes share. KEYS: notes (name → revision(8) value) and their names, by name.
local call, sub = redis.call, string.sub
local NOTES, NAMES = KEYS[1], KEYS[2]

-- Whether a note stands at a revision(8); 0: there is none.
local function stands(name, revision)
  local stored = call('HGET', NOTES, name)
  return (stored and sub(stored, 1, 8) or string.rep('\0', 8)) == revision
end

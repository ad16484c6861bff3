-- ARGV: now, ids. Answers how many ids were looked at, then id, record without its payload, bytes of
-- that and last outcome of each job that is finished. Stops early at large ones, so that it stays short.
local LARGE = 4000000
local found, size, looked = {}, 0, 0
for n = 2, #ARGV do
  local id = ARGV[n]
  looked = n - 1
  local outcome = call('HEXISTS', WORK, id) == 0 and call('HGET', OUTCOMES, id)
  local record = outcome and call('HGET', JOBS, id)
  if record then
    local at = 8 + byte(record, 2) * 256 + byte(record, 3)
    local last = at + 3 + unpack_from('>I4', record, at)
    for _, each in ipairs({id, sub(record, 1, last), #record - last, outcome}) do
      found[#found + 1] = each
    end
    size = size + #record + #outcome
    if size > LARGE then break end
  end
end
return {looked, found}

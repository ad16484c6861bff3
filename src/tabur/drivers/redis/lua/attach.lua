-- ARGV: now, id, token, number of the file(4), the file. Answers whether it was recorded.
-- files: n(4) length(4) file, one behind the other.
local id, n, file = ARGV[2], ARGV[4], ARGV[5]
local work = call('HGET', WORK, id)
if not work or not is_held(work, ARGV[3]) then return 0 end
local files, kept, at = call('HGET', FILES, id) or '', {}, 1
while at <= #files do
  local last = at + 7 + unpack_from('>I4', files, at + 4)
  if sub(files, at, at + 3) ~= n then kept[#kept + 1] = sub(files, at, last) end
  at = last + 1
end
call('HSET', FILES, id, table.concat(kept) .. n .. pack('>I4', #file) .. file)
return 1

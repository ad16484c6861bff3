-- ARGV: name, the revision(8) that was seen, the new one(8) and the value.
if not stands(ARGV[1], ARGV[2]) then return 0 end
call('HSET', NOTES, ARGV[1], ARGV[3])
call('ZADD', NAMES, 0, ARGV[1])
return 1

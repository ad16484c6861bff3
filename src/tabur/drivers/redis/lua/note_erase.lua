-- ARGV: name, the revision(8) that was seen.
if not stands(ARGV[1], ARGV[2]) then return 0 end
call('ZREM', NAMES, ARGV[1])
return call('HDEL', NOTES, ARGV[1])

-- ARGV: from which name on, as ZRANGEBYLEX has it, and at most how many. Answers names and values.
return with_values(call('ZRANGEBYLEX', NAMES, ARGV[1], '+', 'LIMIT', 0, ARGV[2]))

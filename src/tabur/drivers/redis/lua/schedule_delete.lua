-- ARGV: name. Answers whether it was there.
return remove(ARGV[1])

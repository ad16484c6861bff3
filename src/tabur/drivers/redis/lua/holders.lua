-- ARGV: now. Answers the name of every worker that holds a claim.
local names, known = {}, {}
for _, claim in ipairs(call('ZRANGE', CLAIMS, 0, -1)) do
  local name = sub(claim, 3, -17)
  if not known[name] then
    known[name] = true
    names[#names + 1] = name
  end
end
return names

-- since: where the feed ends, and at most ARGV[3] entries after number ARGV[2].
if not unbroken() then
  return {'BROKEN'}
end
local n = last()
local out = {'OK', n}
if tonumber(ARGV[2]) < n then
  for _, entry in ipairs(redis.call('XRANGE', KEYS[2], '(' .. ARGV[2] .. '-0', '+', 'COUNT', ARGV[3])) do
    out[#out + 1] = entry[1]
    out[#out + 1] = entry[2][2]
  end
end
kept()
return out

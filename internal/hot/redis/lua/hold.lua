-- hold: one more live code of a session at a client, at the end of their list. ARGV: the mark, the
-- entry (when it ends, in ms, then its name), the caller's instant in ms, how many there may be,
-- the life of the list in ms. Gives those that are too many, the oldest first; they stay in the
-- list until release.lua is told that they have ended.
if not unbroken() then
  return {'BROKEN'}
end
while true do
  local oldest = redis.call('LINDEX', KEYS[2], 0)
  if not oldest or tonumber(string.match(oldest, '^(%d+) ')) > tonumber(ARGV[3]) then
    break
  end
  redis.call('LPOP', KEYS[2])
end
if not redis.call('LPOS', KEYS[2], ARGV[2]) then
  redis.call('RPUSH', KEYS[2], ARGV[2])
end
redis.call('PEXPIRE', KEYS[2], ARGV[5])
local over = redis.call('LLEN', KEYS[2]) - tonumber(ARGV[4])
if over <= 0 then
  return {'OK'}
end
return {'OK', unpack(redis.call('LRANGE', KEYS[2], 0, over - 1))}

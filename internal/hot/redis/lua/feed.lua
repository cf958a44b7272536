-- The feed: KEYS[2] is the Stream, KEYS[3] the number of its last entry. A feed that nobody wrote
-- to or read for a day goes by itself; what was begun by an incarnation that is over does so, too.
local day = 86400000

local function kept()
  for _, key in ipairs({KEYS[2], KEYS[3]}) do
    if redis.call('PTTL', key) < day / 2 then
      redis.call('PEXPIRE', key, day)
    end
  end
end

-- last is the number of the last entry. A feed that has none begins at the time in microseconds,
-- above all numbers that it may have had before: who was reading then sees the gap.
local function last()
  local n = redis.call('GET', KEYS[3])
  if not n then
    local t = redis.call('TIME')
    n = string.format('%s%06d', t[1], tonumber(t[2]))
    redis.call('DEL', KEYS[2])
    redis.call('SET', KEYS[3], n)
  end
  return tonumber(n)
end

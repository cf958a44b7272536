-- What a partition keeps of one kind, bounded in bytes and accounted to owners, as
-- internal/hot/embedded does it in memory: a full shelf takes from whom it holds most for, those
-- that are spare (rank 0) before those that are held (rank 1), the oldest of a rank first.
-- KEYS[3] is the shelf; its parts are keys with that name in front, in the same slot:
--   :i  of an id: its rank, bytes and owner     :e  when each id goes by itself
--   :q:R  the ids of a rank, in order           :o:OWNER:R  those of one owner
--   :w  bytes of each owner                     :n  counters, bytes of each owner and rank
local shelf = KEYS[3]
local day = 86400000 -- nothing on a shelf lives as long: a shelf that nobody uses goes by itself
local grains = 1024

local function kept(key)
  redis.call('PEXPIRE', key, day)
end

local function milliseconds()
  local t = redis.call('TIME')
  return t[1] * 1000 + math.floor(t[2] / 1000)
end

local function weigh(owner, rank, bytes)
  redis.call('HINCRBY', shelf .. ':n', 'all:' .. rank, bytes)
  redis.call('HINCRBY', shelf .. ':n', owner .. ':' .. rank, bytes)
  redis.call('ZINCRBY', shelf .. ':w', bytes, owner)
end

local function enqueue(id, owner, rank, bytes)
  local n = redis.call('HINCRBY', shelf .. ':n', 'next', 1)
  redis.call('HSET', shelf .. ':i', id, rank .. ' ' .. bytes .. ' ' .. owner)
  for _, queue in ipairs({shelf .. ':q:' .. rank, shelf .. ':o:' .. owner .. ':' .. rank}) do
    redis.call('ZADD', queue, n, id)
    kept(queue)
  end
  weigh(owner, rank, bytes)
  kept(shelf .. ':i')
  kept(shelf .. ':n')
  kept(shelf .. ':w')
end

local function look(id)
  local info = redis.call('HGET', shelf .. ':i', id)
  if info then
    return string.match(info, '^(%d+) (%d+) (%S+)$')
  end
end

local function dequeue(id, owner, rank, bytes)
  redis.call('ZREM', shelf .. ':q:' .. rank, id)
  redis.call('ZREM', shelf .. ':o:' .. owner .. ':' .. rank, id)
  weigh(owner, rank, -bytes)
  if tonumber(redis.call('ZSCORE', shelf .. ':w', owner)) <= 0 then
    redis.call('ZREM', shelf .. ':w', owner)
    redis.call('HDEL', shelf .. ':n', owner .. ':0', owner .. ':1')
  end
end

-- leave takes an id off the shelf, and leaves its record alone.
local function leave(id)
  local rank, bytes, owner = look(id)
  if rank then
    dequeue(id, owner, rank, bytes)
    redis.call('HDEL', shelf .. ':i', id)
    redis.call('ZREM', shelf .. ':e', id)
  end
end

local function drop(id)
  leave(id)
  redis.call('DEL', shelf .. ':r:' .. id)
end

-- ends says in how many milliseconds an id goes by itself.
local function ends(id, ttl)
  redis.call('ZADD', shelf .. ':e', milliseconds() + ttl, id)
  kept(shelf .. ':e')
end

local function sweep()
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', shelf .. ':e', '-inf', milliseconds(), 'LIMIT', 0, 32)) do
    drop(id)
  end
end

local function counter(name)
  return tonumber(redis.call('HGET', shelf .. ':n', name) or 0)
end

-- first is the id of a lot that makes room: a spare one, unless those are within their reserve.
local function first(queues, counts, reserve)
  local spare, held = redis.call('ZCARD', queues .. ':0'), redis.call('ZCARD', queues .. ':1')
  local light = counter(counts .. ':0') * reserve <= counter(counts .. ':0') + counter(counts .. ':1')
  local few = spare == 0 or reserve > 0 and spare * reserve <= spare + held and light
  local rank = 0
  if few and held > 0 then
    rank = 1
  end
  return redis.call('ZRANGE', queues .. ':' .. rank, 0, 0)[1]
end

-- room makes place for that many bytes.
local function room(bytes, bound, reserve)
  while counter('all:0') + counter('all:1') + bytes > bound do
    local top = redis.call('ZREVRANGE', shelf .. ':w', 0, 0, 'WITHSCORES')
    local id
    if top[2] and math.floor(top[2] * grains / bound) > 0 then
      id = first(shelf .. ':o:' .. top[1], top[1], reserve)
    end
    id = id or first(shelf .. ':q', 'all', reserve)
    if not id then
      break
    end
    drop(id)
  end
end

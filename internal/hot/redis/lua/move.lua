-- move: change, on a shelf: ARGV goes on with the id, its rank from now on ('' takes it off the
-- shelf) and its bytes. A new record that is '' drops it.
if not unbroken() then
  return {'BROKEN'}
end
local there = redis.call('GET', KEYS[2])
if there == ARGV[3] then
  return {'OK'}
elseif there ~= ARGV[2] then
  return {'CHANGED'}
end
local id = ARGV[5]
if ARGV[3] == '' then
  drop(id)
  return {'OK'}
end
if ARGV[4] == '' then
  redis.call('SET', KEYS[2], ARGV[3], 'KEEPTTL')
else
  redis.call('SET', KEYS[2], ARGV[3], 'PX', ARGV[4])
end
if ARGV[6] == '' then
  leave(id)
  return {'OK'}
end
local rank, bytes, owner = look(id)
if not rank then
  return {'OK'}
end
if rank == ARGV[6] then
  weigh(owner, rank, ARGV[7] - bytes)
  redis.call('HSET', shelf .. ':i', id, rank .. ' ' .. ARGV[7] .. ' ' .. owner)
else
  dequeue(id, owner, rank, bytes)
  enqueue(id, owner, ARGV[6], ARGV[7])
end
if ARGV[4] ~= '' then
  ends(id, tonumber(ARGV[4]))
end
return {'OK'}

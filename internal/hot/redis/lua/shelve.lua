-- shelve: put, on a shelf: ARGV: the mark, the record, its life in ms, its id, its owner, its rank,
-- its bytes, the bound of the shelf, the reserve of those that are spare (0: none).
if not unbroken() then
  return {'BROKEN'}
end
local there = redis.call('GET', KEYS[2])
if there == ARGV[2] then
  return {'OK'}
elseif there then
  return {'TAKEN', there}
end
local id, bytes, bound = ARGV[4], tonumber(ARGV[7]), tonumber(ARGV[8])
if bytes > bound then
  return {'LARGE'}
end
leave(id)
sweep()
room(bytes, bound, tonumber(ARGV[9]))
redis.call('SET', KEYS[2], ARGV[2], 'PX', ARGV[3])
enqueue(id, ARGV[5], ARGV[6], ARGV[7])
ends(id, tonumber(ARGV[3]))
return {'OK'}

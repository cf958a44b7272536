-- put: a family, or the memory of its end, where there is none, for ARGV[3] milliseconds. One that is there already
-- is given back: it is no error if it is the same, for then an answer was lost on its way. That
-- there is none says yes here, so a server that throws keys away is not believed.
if not unbroken() then
  return {'BROKEN'}
end
local there = redis.call('GET', KEYS[2])
if there == ARGV[2] then
  return {'OK'}
elseif there then
  return {'TAKEN', there}
end
local memory = redis.call('INFO', 'memory')
if string.match(memory, 'maxmemory:(%d+)') ~= '0' and string.match(memory, 'maxmemory_policy:([%w-]+)') ~= 'noeviction' then
  return {'EVICTS'}
end
redis.call('SET', KEYS[2], ARGV[2], 'PX', ARGV[3])
return {'OK'}

-- ensure: the mark of a partition: an incarnation, the replication id and the run id of the server
-- that it was made on. ARGV[1] is a new incarnation, for a partition that has none or that was
-- carried to another run: whatever was saved before is then out of reach, because its keys have
-- the old incarnation in their names.
local server, replication, memory = redis.call('INFO', 'server'), redis.call('INFO', 'replication'), redis.call('INFO', 'memory')
local run = string.match(server, 'run_id:(%x+)')
local id, before = string.match(replication, 'master_replid:(%x+)'), string.match(replication, 'master_replid2:(%x+)')
if not string.find(replication, 'role:master', 1, true) then
  return redis.error_reply('READONLY this server is a replica')
end
if not run or not id or not before then
  return {'NAMELESS'}
end
local about = {string.match(memory, 'maxmemory_policy:([%w-]+)') or '', string.match(memory, 'maxmemory:(%d+)') or '', string.match(server, 'redis_version:(%S+)') or ''}
local mark = redis.call('GET', KEYS[1])
local incarnation, on, by
if mark then
  incarnation, on, by = string.match(mark, '^(%S+) (%S+) (%S+)$')
end
if by ~= run then
  incarnation = ARGV[1]
elseif on ~= id and before ~= string.rep('0', 40) then
  -- The same process, promoted since: in between it had another's data.
  incarnation = ARGV[1]
end
-- A server gives itself another id when its first replica comes, or an hour after its last has
-- gone, and forgets the one before: nothing was lost by that.
local now = incarnation .. ' ' .. id .. ' ' .. run
if now ~= mark then
  redis.call('SET', KEYS[1], now)
end
return {'OK', now, about[1], about[2], about[3]}

-- In front of every script. KEYS[1] holds the mark of the partition, which ARGV[1] must be: who
-- emptied the server, restored it or made a replica the primary has broken it (ensure.lua).
local function marked()
  return redis.call('GET', KEYS[1]) == ARGV[1]
end

-- unbroken asks the server itself, too: its replication id is another after a restart from
-- whatever was saved, and after a promotion. Whatever accepts or stores something asks.
local function unbroken()
  local id = string.match(redis.call('INFO', 'replication'), 'master_replid:(%x+)')
  return marked() and id and string.find(ARGV[1], ' ' .. id .. ' ', 1, true)
end

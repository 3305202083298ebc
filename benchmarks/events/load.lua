-- Batches of new events over and over: args are the API key, events per request, pause in ms.
local thread_id = 0
local counter = 0
function setup(thread) thread:set("id", thread_id); thread_id = thread_id + 1 end
function init(args)
  key = args[1]
  n = tonumber(args[2] or "100")
  pause = tonumber(args[3] or "0")
  math.randomseed(os.time() + id)
  run = math.random(1, 1e9)
  headers = {["Content-Type"]="application/json", ["Authorization"]="Bearer " .. key}
end
function request()
  local parts = {}
  for i = 1, n do
    counter = counter + 1
    parts[i] = string.format('{"event_id":"%d-%d-%d","user_id":"user-%d","item_id":"item-%d","interaction_type":"click","timestamp":%d,"context":{"device_type":"ios","location":"DE","session_id":"s%d"}}', run, id, counter, counter % 97711, counter % 3317, 1767225600000 + counter, counter % 1009)
  end
  return wrk.format("POST", "/v1/events", headers, "[" .. table.concat(parts, ",") .. "]")
end
-- At random, so that the connections do not come all at once.
function delay() return pause > 0 and math.random(0, 2 * pause) or 0 end

-- For wrk: files of 20 KiB, each under a name of its own.
local run, n = tostring(os.time()) .. "-" .. tostring(math.floor(os.clock() * 1e6)), 0
wrk.method = "PUT"
wrk.body = string.rep("photograph", 2048)
request = function()
  n = n + 1
  return wrk.format(nil, "/v1/files/small-" .. run .. "-" .. n)
end

-- Asks the paths of a file in turn, a path a line: wrk -s paths.lua URL -- FILE.

local requests = {}
local asked = 0

function init(arguments)
  for path in io.lines(arguments[1]) do
    requests[#requests + 1] = wrk.format("GET", path)
  end
end

function request()
  asked = asked % #requests + 1
  return requests[asked]
end

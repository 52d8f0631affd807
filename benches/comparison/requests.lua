-- wrk: a header line of its own for each request, from a file of slots (length in four bytes, then the line).
--   wrk -s requests.lua URL -- FILE SLOT FIRST COUNT ORDER
-- ORDER is "once" (one after the other; ends when all have been sent), "cycle" (and again from the first one) or "random".
local ffi = require("ffi")
ffi.cdef[[
int open(const char *path, int flags);
void *mmap(void *address, size_t length, int protection, int flags, int descriptor, long offset);
]]
local slots, slot, first, count, order
local at, before, after = 0, "", ""

function init(arguments)
  local descriptor = ffi.C.open(arguments[1], 0)
  slot, first, count, order = tonumber(arguments[2]), tonumber(arguments[3]), tonumber(arguments[4]), arguments[5]
  local mapped = ffi.C.mmap(nil, (first + count) * slot, 1, 1, descriptor, 0)
  assert(descriptor >= 0 and ffi.cast("intptr_t", mapped) ~= -1, "the file of requests cannot be read")
  slots = ffi.cast("const uint8_t *", mapped)
  math.randomseed(1)
  before = "GET " .. wrk.path .. " HTTP/1.1\r\nHost: " .. wrk.headers["Host"] .. "\r\n"
  after = "\r\n"
end

function request()
  local index
  if order == "random" then
    index = math.random(0, count - 1)
  else
    index = at
    at = (at + 1) % count
    if at == 0 and order == "once" then
      wrk.thread:stop()
    end
  end
  local place = slots + (first + index) * slot
  local length = ffi.cast("const uint32_t *", place)[0]
  return before .. ffi.string(place + 4, length) .. after
end

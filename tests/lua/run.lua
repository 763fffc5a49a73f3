-- SPDX-License-Identifier: MIT
-- Runs test files under the Lua that runs it: lua5.4 tests/lua/run.lua tests/lua/test_*.lua
-- A file is called with this table: t.test(name, fn), t.equal, t.close, t.raises. Ends with "N passed, N failed".
local t = {}
local passed, failed = 0, 0

function t.test(name, fn)
    local ok, problem = xpcall(fn, function(e) return debug.traceback(tostring(e), 2) end)
    if ok then
        passed = passed + 1
    else
        failed = failed + 1
        io.write("FAILED ", t.file, ": ", name, "\n    ", (problem:gsub("\n", "\n    ")), "\n")
    end
end

local function show(x)
    if type(x) ~= "table" then return type(x) == "number" and string.format("%.17g", x) or tostring(x) end
    local parts = {}
    for i, v in ipairs(x) do parts[i] = show(v) end
    for k, v in pairs(x) do
        if type(k) ~= "number" then parts[#parts + 1] = tostring(k) .. " = " .. show(v) end
    end
    return "{" .. table.concat(parts, ", ") .. "}"
end

local function same(a, b, tolerance)
    if type(a) == "table" and type(b) == "table" then
        for k, v in pairs(a) do
            if not same(v, b[k], tolerance) then return false end
        end
        for k in pairs(b) do
            if a[k] == nil then return false end
        end
        return true
    end
    if type(a) == "number" and type(b) == "number" then
        return a == b or (a ~= a and b ~= b) or math.abs(a - b) <= tolerance * math.max(math.abs(a), math.abs(b))
    end
    return rawequal(a, b)
end

-- The same value, tables by what is in them.
function t.equal(got, expected)
    if not same(got, expected, 0) then error("got " .. show(got) .. ", expected " .. show(expected), 2) end
end
-- The same up to a few roundings.
function t.close(got, expected, tolerance)
    if not same(got, expected, tolerance or 1e-14) then
        error("got " .. show(got) .. ", expected " .. show(expected), 2)
    end
end

-- fn must raise an error object of this code name whose message contains the text.
function t.raises(name, text, fn, ...)
    local ok, e = pcall(fn, ...)
    if ok then error("nothing was raised, expected " .. name .. ": " .. text, 2) end
    if type(e) ~= "table" or not e.code then error("raised no error object: " .. tostring(e), 2) end
    if e.name ~= "LOSSFN_ERROR_" .. name or not e.message:find(text, 1, true) then
        error("raised " .. e.name .. ": " .. e.message .. "\nexpected " .. name .. ": " .. text, 2)
    end
    return e
end

for _, file in ipairs(arg) do
    t.file = file
    local chunk, problem = loadfile(file)
    t.test("the file itself", function()
        if not chunk then error(problem, 0) end
        chunk(t)
    end)
end
print(string.format("%d passed, %d failed", passed, failed))
os.exit(failed == 0 and passed > #arg and 0 or 1)

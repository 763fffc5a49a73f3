-- SPDX-License-Identifier: MIT
-- Runs test files under whatever Lua this is: lua5.4 tests/lua/run.lua tests/lua/test_*.lua
-- A test file returns a table of functions by name; a test fails by raising an error. `check` helps it to.
check = {}

function check.equal(got, wanted, what)
    if got ~= wanted and (got == got or wanted == wanted) then
        error(string.format("%s: got %s, wanted %s", what or "value", tostring(got), tostring(wanted)), 2)
    end
end

-- Tables of the same shape with equal numbers in them.
function check.same(got, wanted, what)
    what = what or "value"
    if type(wanted) ~= "table" then return check.equal(got, wanted, what) end
    if type(got) ~= "table" then error(string.format("%s: got %s, wanted a table", what, tostring(got)), 2) end
    for key, value in pairs(wanted) do check.same(got[key], value, what .. "[" .. tostring(key) .. "]") end
    for key in pairs(got) do
        if wanted[key] == nil then error(what .. " has an unwanted [" .. tostring(key) .. "]", 2) end
    end
end

function check.near(got, wanted, tolerance, what)
    if not (math.abs(got - wanted) <= tolerance) then
        error(string.format("%s: got %.17g, wanted %.17g within %g", what or "value", got, wanted, tolerance), 2)
    end
end

-- f(...) raises something whose text matches the pattern; returns what was raised.
function check.raises(pattern, f, ...)
    local ok, raised = pcall(f, ...)
    if ok then error("nothing was raised, wanted " .. pattern, 2) end
    if not tostring(raised):find(pattern) then
        error(string.format("raised %q, wanted %q", tostring(raised), pattern), 2)
    end
    return raised
end

local traceback = debug.traceback
local passed, failed = 0, 0
local function run(name, f)
    local ok, message = xpcall(f, function(raised) return traceback(tostring(raised), 2) end)
    if ok then
        passed = passed + 1
    else
        failed = failed + 1
        print("FAILED " .. name .. "\n" .. message)
    end
end

for _, file in ipairs(arg) do
    run(file .. ": load", function()
        local names, tests = {}, dofile(file)
        for name in pairs(tests) do names[#names + 1] = name end
        table.sort(names)
        for _, name in ipairs(names) do run(file .. ": " .. name, tests[name]) end
    end)
end
print(string.format("%d passed, %d failed", passed, failed))
os.exit(failed == 0 and passed > 0 and 0 or 1)

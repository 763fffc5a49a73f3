-- SPDX-License-Identifier: MIT
-- Robust linear regression: lua regression.lua DATA.csv SPEC, as in lua regression.lua engel.csv "huber(delta=0.5)"
--
-- DATA.csv has a line of names, then numbers; the last column is the target. Columns are standardised, 200 steps of
-- gradient descent fit the rest, and what is printed is in the units of the file. docs/examples/c and
-- docs/examples/python hold the same program; all three print the same digits.
local lossfn = require "lossfn"

local steps, rate = 200, 0.1

local function read_table(path)
    local names, columns = {}, {}
    for line in io.lines(path) do
        local c = 0
        for cell in line:gmatch("[^,\r]+") do
            c = c + 1
            if #columns < c then
                names[c], columns[c] = cell, {}
            else
                table.insert(columns[c], tonumber(cell))
            end
        end
    end
    return names, columns
end

-- Takes the mean from a column and divides it by its standard deviation; returns both.
local function standardise(column)
    local n, sum, squares = #column, 0, 0
    for i = 1, n do sum = sum + column[i] end
    local mean = sum / n
    for i = 1, n do
        local d = column[i] - mean
        squares = squares + d * d
    end
    local deviation = math.sqrt(squares / n)
    if deviation == 0 then deviation = 1 end
    for i = 1, n do column[i] = (column[i] - mean) / deviation end
    return mean, deviation
end

if not arg[2] then error("usage: lua regression.lua DATA.csv SPEC", 0) end
local names, columns = read_table(arg[1])
local loss, problem = lossfn.try_create(arg[2])
if not loss then error(arg[2] .. ": " .. problem, 0) end

local mean, deviation = {}, {}
for c, column in ipairs(columns) do mean[c], deviation[c] = standardise(column) end
local target = table.remove(columns)
local n, features = #target, #columns
local target_mean, target_deviation = mean[features + 1], deviation[features + 1]

local intercept, w = 0, {}
for c = 1, features do w[c] = 0 end

local function predict()
    local pred = {}
    for i = 1, n do
        local sum = intercept
        for c = 1, features do sum = sum + w[c] * columns[c][i] end
        pred[i] = sum
    end
    return pred
end

for _ = 1, steps do
    local grad = loss:grad(predict(), target)
    local sum = 0
    for i = 1, n do sum = sum + grad[i] end
    intercept = intercept - rate * sum
    for c = 1, features do
        sum = 0
        for i = 1, n do sum = sum + grad[i] * columns[c][i] end
        w[c] = w[c] - rate * sum
    end
end
local value = loss(predict(), target)

for c = 1, features do intercept = intercept - w[c] * mean[c] / deviation[c] end
print(string.format("intercept %.17g", target_mean + intercept * target_deviation))
for c = 1, features do print(string.format("%s %.17g", names[c], w[c] * target_deviation / deviation[c])) end
print(string.format("loss %.17g", value))

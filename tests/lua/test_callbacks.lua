-- SPDX-License-Identifier: MIT
local t = ...
local lossfn = require "lossfn"
local test, equal, close, raises = t.test, t.equal, t.close, t.raises

local function quartic(pred, target, params)
    local value, grad, hess = {}, {}, {}
    for i = 1, #pred do
        local r = pred[i] - target[i]
        value[i], grad[i], hess[i] = r ^ 4 * params.factor, 4 * r ^ 3 * params.factor, 12 * r ^ 2 * params.factor
    end
    return value, grad, hess
end

test("register, use, unregister", function()
    local loss = lossfn.register("my.quartic", quartic, {params = {factor = 1}, summary = "Fourth power."})
    equal({loss:value_grad_hess({2, 1, 0}, {0, 0, 0}, {reduction = "sum"})}, {17, {32, 4, 0}, {48, 12, 0}})
    equal(lossfn["my.quartic"]({2}, {0}), 16)
    equal(lossfn.create("my.quartic(factor=0.5)")({2}, {0}), 8)
    equal(lossfn["my.quartic"]({2, 1}, {0, 0}, {factor = 2, weight = {0, 1}}), 2)
    equal(lossfn.create("my.quartic + mse")({2}, {0}), 20)
    equal(lossfn.describe("my.quartic").summary, "Fourth power.")
    equal(lossfn.mse(lossfn.array({3}, "f32"), {1}), 4)
    assert(loss:check_gradient({2, 1, -1}, {0.5, 0, 0}).agrees)
    raises("EXISTS", "my.quartic", lossfn.register, "my.quartic", quartic)
    lossfn.unregister("my.quartic")
    raises("NOT_FOUND", "", lossfn.create, "my.quartic")
    equal(loss({2}, {0}), 16) -- made before
    raises("NOT_FOUND", "", lossfn.unregister, "my.quartic")
    equal(lossfn.register("my.quartic", function(p) return p, p end)({3}, {0}), 3)
    lossfn.unregister("my.quartic")
end)

test("a loss without a Hessian", function()
    local loss = lossfn.custom(function(pred, target)
        local value, grad = quartic(pred, target, {factor = 1})
        return value, grad
    end)
    raises("UNSUPPORTED", "returned no hess", loss.hess, loss, {2}, {0})
    local report = loss:check_gradient({2, 1}, {0.5, 0})
    equal({report.agrees, report.compared}, {true, 2}) -- what there is, is checked
end)

test("recursion without end", function()
    local loss, depth = nil, 0
    loss = lossfn.custom(function(pred, target) return {loss(pred, target)}, pred end)
    raises("CALLBACK", "20 deep", loss, {1}, {1})
    loss = lossfn.custom(function(pred, target)
        depth = depth + 1
        return depth < 15 and {loss(pred, target)} or pred, pred
    end)
    equal(loss({3}, {1}), 3)
end)

test("names and options of a registration", function()
    raises("ARGUMENT", "", lossfn.register, "nodot", quartic)
    raises("ARGUMENT", "a loss is a function of blocks, not a table", lossfn.register, "my.x", {})
    raises("ARGUMENT", "register has no option 'delta'", lossfn.register, "my.x", quartic, {delta = 1})
    raises("ARGUMENT", "params gives each parameter its default", lossfn.register, "my.x", quartic, {params = {"delta"}})
end)

test("custom losses", function()
    local loss = lossfn.custom(quartic, {params = {factor = 1}, factor = 3, reduction = "sum"})
    equal(loss({1, 1}, {0, 0}), 6)
    equal(loss({1, 1}, {0, 0}, {factor = 1}), 2)
    equal(loss.grad and loss:grad({1}, {0}), {12})
    local arrays = lossfn.custom(function(pred, target)
        local value, grad = lossfn.array.zeros(#pred), lossfn.array.zeros(#pred)
        for i = 1, #pred do value[i], grad[i] = (pred[i] - target[i]) ^ 2, 2 * (pred[i] - target[i]) end
        return value, grad
    end)
    local n, p, y = 5000, {}, {}
    for i = 1, n do p[i], y[i] = math.sin(i), math.cos(i) end
    equal(arrays(p, y), lossfn.mse(p, y))
    equal(arrays:grad(p, y, {mask = lossfn.array.zeros(n, "bool")})[5], 0)
    equal(arrays({1, 0 / 0}, {0, 0}, {mask = {1, 0}}), 1)
    equal(lossfn.custom(function(p) return p, p end, {inputs = {"pred"}})({1, 3}), 2)
end)

test("rows of classes", function()
    local function top(pred, target)
        local value, grad = {}, {}
        for i = 1, #pred do
            value[i], grad[i] = 0, {}
            for c = 1, #pred[i] do
                value[i] = value[i] - pred[i][c] * target[i][c]
                grad[i][c] = -target[i][c]
            end
        end
        return value, grad
    end
    local loss = lossfn.custom(top, {rows = true})
    equal({loss:value_and_grad({{1, 2, 3}, {4, 5, 6}}, {3, 1})}, {-3.5, {{0, 0, -0.5}, {-0.5, 0, 0}}})
    local seen = {}
    local by_label = lossfn.custom(function(pred, labels)
        local value = {}
        for i = 1, #pred do
            value[i] = pred[i][labels[i]]
            seen[#seen + 1] = labels[i]
        end
        return value
    end, {rows = true, labels = true})
    equal(by_label({{1, 2, 3}, {4, 5, 6}}, {3, 1}, {reduction = "none"}), {3, 4})
    equal(seen, {3, 1})
end)

test("gradients by several inputs", function()
    local loss = lossfn.custom(function(a, b, c)
        local value, ga, gc = {}, {}, {}
        for i = 1, #a do value[i], ga[i], gc[i] = a[i] * c[i], c[i], a[i] end
        return value, {pred = ga, c = gc}
    end, {inputs = {"pred", "target", "c"}, reduction = "sum"})
    local value, g = loss:value_and_grad({1, 2}, {0, 0}, {5, 6})
    equal({value, g.pred, g.c}, {17, {5, 6}, {1, 2}})
end)

test("an error value travels intact", function()
    local thrown = {"something of my own"}
    local loss = lossfn.custom(function() error(thrown) end)
    local ok, e = pcall(loss, {1}, {1})
    assert(not ok and rawequal(e, thrown))
    ok, e = pcall(function() lossfn.custom(function() error("text", 0) end)({1}, {1}) end)
    equal({ok, e}, {false, "text"})
    ok, e = pcall(function() lossfn.custom(function() error(nil) end)({1}, {1}) end)
    assert(not ok)
    -- in a call inside a call
    local inner = lossfn.custom(function() error(thrown) end)
    local outer = lossfn.custom(function(p, y)
        local fine, problem = pcall(inner, p, y)
        assert(not fine and rawequal(problem, thrown))
        return p, p
    end)
    equal(outer({1, 2}, {1, 2}), 1.5)
    local through = lossfn.custom(function(p, y) return inner(p, y) end)
    ok, e = pcall(through, {1}, {1})
    assert(not ok and rawequal(e, thrown))
    -- by the accumulator and by check_gradient as well
    local acc = lossfn.Accumulator(lossfn.register("my.raises", function() error(thrown) end))
    ok, e = pcall(acc.update, acc, {1}, {1})
    assert(not ok and rawequal(e, thrown))
    lossfn.unregister("my.raises")
    ok, e = pcall(inner.check_gradient, inner, {1}, {1})
    assert(not ok and rawequal(e, thrown))
    equal(lossfn.mse({1}, {0}), 1)
end)

test("results of a wrong kind", function()
    local function returning(...)
        local n, results = select("#", ...), {...}
        return lossfn.custom(function() return (table.unpack or unpack)(results, 1, n) end)
    end
    raises("CALLBACK", "returned a value of 1 elements, expected 3", returning({1}), {1, 2, 3}, {1, 2, 3})
    raises("UNSUPPORTED", "returned no value", returning(), {1}, {1})
    raises("UNSUPPORTED", "returned no grad", function() returning({1}):grad({1}, {1}) end)
    raises("UNSUPPORTED", "returned no hess", function() returning({1}, {1}):hess({1}, {1}) end)
    raises("DTYPE", "value[1] is a string", returning({"a"}), {1}, {1})
    raises("ARGUMENT", "value is a string", returning("a"), {1}, {1})
end)

test("from coroutines", function()
    local loss = lossfn.custom(quartic, {params = {factor = 1}})
    local co = coroutine.wrap(function() return loss({2}, {0}) end)
    equal(co(), 16)
    local made
    coroutine.wrap(function() made = lossfn.custom(quartic, {params = {factor = 1}}) end)()
    collectgarbage()
    equal(made({2}, {0}), 16)
    local yields = lossfn.custom(function() coroutine.yield() end)
    local ok = pcall(coroutine.wrap(function() return yields({1}, {1}) end))
    equal(ok, false)
end)

test("callbacks are collected", function()
    local weak = setmetatable({}, {__mode = "k"})
    for _ = 1, 50 do
        local fn = function(p) return p, p end
        weak[fn] = true
        lossfn.custom(fn)({1}, {1})
    end
    for _ = 1, 5 do collectgarbage() end
    lossfn.custom(quartic, {params = {factor = 1}}) -- sweeps
    for _ = 1, 5 do collectgarbage() end
    local left = 0
    for _ in pairs(weak) do left = left + 1 end
    assert(left < 5, left .. " functions are still there")
    close(1, 1)
end)

test("garbage collection while a callback runs", function()
    local loss = lossfn.custom(function(p, y)
        for _ = 1, 3 do collectgarbage() end
        return p, y, p
    end)
    local value, grad, hess = loss:value_grad_hess({1, 3}, {2, 4}, {reduction = "sum"})
    equal({value, grad, hess}, {4, {2, 4}, {1, 3}})
end)

-- SPDX-License-Identifier: MIT
local t = ...
local lossfn = require "lossfn"
local test, equal, raises = t.test, t.equal, t.raises
local array = lossfn.array

test("elements of every type", function()
    for _, dtype in ipairs {"f64", "f32", "f16", "bf16", "i8", "i16", "i32", "i64", "u8", "u16", "u32", "u64"} do
        local a = array({1, 2, 3}, dtype)
        equal(a:totable(), {1, 2, 3})
        a[2] = 7
        equal({a[1], a[2], a[3], #a}, {1, 7, 3, 3})
        equal(array(a, "f64"):totable(), {1, 7, 3})
        equal(array.fromstring(a:tostring(), dtype):totable(), {1, 7, 3})
    end
    local b = array({true, false, true})
    equal({b.dtype, b[1], b[2]}, {"bool", true, false})
    equal(array({1, 0}, "bool"):totable(), {true, false})
    equal(array({true, false}, "f32" and "bool"):totable(), {true, false})
    equal(array({1, 2}).dtype, "float64")
    equal(array({1, 2}, "float32").dtype, "float32")
end)

test("narrow floats are rounded once, ties to even", function()
    local function through(x, dtype) return array({x}, dtype)[1] end
    equal(through(0.1, "f32"), 13421773 / 2 ^ 27)
    equal(through(0.1, "f16"), 1638 / 2 ^ 14)
    equal(through(0.1, "bf16"), 205 / 2 ^ 11)
    equal(through(2049, "f16"), 2048)
    equal(through(2051, "f16"), 2052)
    equal(through(65519.99, "f16"), 65504)
    equal(through(65520, "f16"), math.huge)
    equal(through(2 ^ -24, "f16"), 2 ^ -24)
    equal(through(2 ^ -25, "f16"), 0)
    equal(through(1.5 * 2 ^ -25, "f16"), 2 ^ -24)
    equal(through(3 * 2 ^ -24, "f16"), 3 * 2 ^ -24)
    equal(through(2 ^ -14, "f16"), 2 ^ -14)
    equal(through(2 ^ -133, "bf16"), 2 ^ -133)
    equal(through(2 ^ -135, "bf16"), 0)
    equal(through(-math.huge, "f16"), -math.huge)
    equal(through(3e38, "bf16"), 226 * 2 ^ 120)
    equal(through(0 / 0, "f16"), 0 / 0)
    equal(through(0 / 0, "bf16"), 0 / 0)
    equal(1 / through(-1e-300, "f16"), -math.huge)
    -- twice rounding would go wrong: just above a tie of float16, which float32 rounds to the tie
    equal(through(1 + 2 ^ -11 + 2 ^ -40, "f16"), 1 + 2 ^ -10)
end)

test("64-bit integers", function()
    local bytes = "\1\0\0\0\0\0\32\0" -- 2^53 + 1
    local a = array.fromstring(bytes, "i64")
    if math.type then
        equal(math.type(a[1]), "integer")
        assert(a[1] == math.tointeger(2 ^ 53) + 1)
        local b = array({a[1]}, "i64")
        equal(b:tostring(), bytes)
        b[1] = math.mininteger
        assert(b[1] == math.mininteger)
    else
        equal(a[1], 2 ^ 53)
    end
    equal(array({2 ^ 53, -2 ^ 53, -2 ^ 63}, "i64"):totable()[2], -2 ^ 53)
    equal(array({2 ^ 63}, "u64")[1], 2 ^ 63)
end)

test("numbers that do not fit", function()
    raises("DTYPE", "the array[2] = 128 is out of the range of int8", array, {1, 128}, "i8")
    raises("DTYPE", "the array[1] = -1 is out of the range of uint8", array, {-1}, "u8")
    raises("DTYPE", "the array[1] = 1.5 is no integer, as needs int32", array, {1.5}, "i32")
    raises("DTYPE", "is out of the range of int64", array, {2 ^ 63}, "i64")
    raises("DTYPE", "is out of the range of int64", array, {0 / 0}, "i64")
    raises("DTYPE", "unknown dtype 'float'; there are f64", array, {1}, "float")
    raises("DTYPE", "the dtype is a number", array, {1}, 3)
    raises("DTYPE", "the array[2] = 300 is out of the range of uint8", function()
        local a = array({1, 300}, "i32")
        return array(a, "u8")
    end)
    local a = array({1, 2}, "u8")
    raises("DTYPE", "the element[1] = 256 is out of the range of uint8", function() a[1] = 256 end)
    raises("DTYPE", "the element[1] is a string, expected a number", function() a[1] = "7" end)
end)

test("shapes, rows and reshape share memory", function()
    local a = array({{1, 2, 3}, {4, 5, 6}}, "f32")
    equal({a.shape, #a, a.dtype}, {{2, 3}, 2, "float32"})
    equal(tostring(a), "lossfn.array float32 {2, 3}")
    equal(a[2]:totable(), {4, 5, 6})
    a[2][3] = 60
    equal(a:totable(), {{1, 2, 3}, {4, 5, 60}})
    a[1] = {7, 8, 9}
    equal(a:totable(), {{7, 8, 9}, {4, 5, 60}})
    a[2] = a[1]
    equal(a[2]:totable(), {7, 8, 9})
    local flat = a:reshape(6)
    flat[1] = -1
    equal(a[1][1], -1)
    equal(a:reshape({3, 2}):totable(), {{-1, 8}, {9, 7}, {8, 9}})
    equal(a:reshape(3, -1).shape, {3, 2})
    equal(a:reshape(-1, 6).shape, {1, 6})
    local row = array({{1, 2}, {3, 4}})[2]
    for _ = 1, 20 do collectgarbage() end
    equal(row:totable(), {3, 4})
    equal(array.zeros({2, 2}):totable(), {{0, 0}, {0, 0}})
    equal(array.zeros(3, "i8"):totable(), {0, 0, 0})
    equal(array.zeros({0, 4}).shape, {0, 4})
    equal(array.fromstring(("\0"):rep(16), "f32", {2, 2}):totable(), {{0, 0}, {0, 0}})
    assert(array.is(a) and not array.is({}))
    equal(type(a:ptr()), "userdata")
end)

test("errors of arrays", function()
    local a = array {1, 2, 3}
    raises("SHAPE", "index 0 is out of 1 .. 3", function() return a[0] end)
    raises("SHAPE", "index 4 is out of 1 .. 3", function() return a[4] end)
    raises("SHAPE", "index 1.5 is out of 1 .. 3", function() return a[1.5] end)
    raises("SHAPE", "index 4 is out of 1 .. 3", function() a[4] = 1 end)
    raises("ARGUMENT", "no fields", function() a.name = 1 end)
    raises("SHAPE", "3 elements do not fit the new shape", function() return a:reshape(2, 2) end)
    raises("SHAPE", "only one extent may be -1", function() return a:reshape(-1, -1) end)
    raises("SHAPE", "extent 1 of the shape is no whole number", function() return a:reshape("x") end)
    raises("SHAPE", "7 bytes are no whole number", array.fromstring, "1234567", "f64")
    raises("SHAPE", "8 bytes, the shape needs 16", array.fromstring, "12345678", "f64", {2})
    raises("SHAPE", "", array.zeros, {-1})
    raises("SHAPE", "", array.zeros, {2 ^ 31, 2 ^ 31, 2 ^ 31})
    raises("ARGUMENT", "called with a colon", function() return a.totable({}) end)
    raises("SHAPE", "the new row does not have the shape", function() array({{1, 2}})[1] = {1} end)
    raises("ARGUMENT", "the array is missing", array)
    raises("ARGUMENT", "the array is a string", array, "123")
end)

test("tables with holes, ragged rows and other things", function()
    raises("SHAPE", "target has a hole: [2] is nil", lossfn.mse, {1, 2, 3}, {1, nil, 3})
    raises("SHAPE", "pred has a hole: [1] is nil", lossfn.mse, {nil, 2}, {1, 2})
    raises("SHAPE", "pred[2] has 1 elements, pred[1] has 2", lossfn.mse, {{1, 2}, {3}}, {{1, 2}, {3, 4}})
    raises("SHAPE", "pred[2][1] has 2 elements, pred[1][1] has 1", lossfn.mse, {{{1}}, {{2, 3}}}, {{{1}}, {{2}}})
    raises("SHAPE", "pred[2] is a number, but pred[1] before it is a table", lossfn.mse, {{1}, 2}, {1, 2})
    raises("DTYPE", "pred[2] is a table, expected a number", lossfn.mse, {1, {2}}, {1, 2})
    raises("DTYPE", "target[2][1] is a string, expected a number", lossfn.mse, {{1}, {2}}, {{1}, {"2"}})
    raises("SHAPE", "target has the key 'n'", lossfn.mse, {1, 2}, {1, 2, n = 2})
    raises("SHAPE", "has a key that is not in 1 .. 2", lossfn.mse, {1, 2, [0] = 3}, {1, 2})
    raises("DTYPE", "weight[1] is a string", lossfn.mse, {1}, {1}, {weight = {"x"}})
    raises("DTYPE", "mask[2] is a boolean", lossfn.mse, {1, 2}, {1, 2}, {mask = {1, true}})
    raises("SHAPE", "nested more than 8 deep", lossfn.mse, {{{{{{{{{1}}}}}}}}}, {1})
    raises("ARGUMENT", "pred is a string; expected a table of numbers", lossfn.mse, "1", {1})
end)

test("what comes in as an array goes out as one", function()
    local p, y = array({1, 2, 4}, "f32"), array({1, 2, 3}, "f32")
    local value, grad, hess = lossfn.mse.value_grad_hess(p, y)
    equal({value, grad.dtype, hess.dtype}, {1 / 3, "float32", "float32"})
    equal(grad[3], array({2 / 3}, "f32")[1])
    equal(lossfn.mse(p, y, {reduction = "none"}):totable(), {0, 0, 1})
    equal(lossfn.mse.grad({1, 2}, array {1, 2}), {0, 0})
    local out = array.zeros(3, "f32")
    local _, same = lossfn.mse.value_and_grad(p, y, {out = out})
    assert(rawequal(same, out) and out[3] == grad[3])
    raises("SHAPE", "", lossfn.mse.grad, p, y, {out = array.zeros(2, "f32")})
    raises("ARGUMENT", "out is a table, expected a lossfn.array", lossfn.mse.grad, p, y, {out = {}})
    -- a table beside a float32 prediction does not widen the computation
    equal(lossfn.mse.value(array({0.1}, "f32"), {0.1}), 0)
    equal(lossfn.cross_entropy(array({{1, 2}}, "f32"), {2}), lossfn.cross_entropy(array({{1, 2}}, "f32"), array({2}, "i64")))
    -- shapes that do not fit
    raises("SHAPE", "", lossfn.mse, p, array({1, 2}, "f32"))
    raises("ALIAS", "", lossfn.mse.grad, p, y, {out = y, mask = y})
end)

test("memory is given back", function()
    local function kilobytes()
        for _ = 1, 4 do collectgarbage() end
        return collectgarbage("count")
    end
    local function work()
        for i = 1, 200 do
            local a = array.zeros({100, 10})
            local rows = {}
            for k = 1, 100 do rows[k] = a[k]:reshape(2, 5) end
            lossfn.mse.grad(a, a, {weight = i, delta = nil})
            pcall(lossfn.mse, a, {1})
            lossfn.create("huber", {delta = i})
        end
    end
    work()
    local first = kilobytes()
    work()
    assert(kilobytes() < first + 200, "memory grows")
end)

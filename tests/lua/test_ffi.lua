-- SPDX-License-Identifier: MIT
-- cdata of LuaJIT; elsewhere that there is none.
local t = ...
local lossfn = require "lossfn"
local test, equal, raises = t.test, t.equal, t.raises

if not rawget(_G, "jit") then
    test("view is LuaJIT's", function() raises("UNSUPPORTED", "view is for LuaJIT", lossfn.view, 1) end)
    return
end

local ffi = require "ffi"
local function list(x, n)
    local made = {}
    for i = 1, n do made[i] = tonumber(x[i - 1]) end
    return made
end
local p, y = ffi.new("double[3]", {1, 2, 4}), ffi.new("double[?]", 3, {1, 2, 3})

test("the declarations are there", function()
    assert(ffi.sizeof("lossfn_args_t") > 100)
    assert(package.loaded["lossfn.ffi"])
end)

test("cdata in, cdata out", function()
    local loss = lossfn.create("huber")
    assert(loss.ffi_handle)
    equal(loss(p, y), loss({1, 2, 4}, {1, 2, 3}))
    local value, grad, hess = loss:value_grad_hess(p, y)
    equal({value, list(grad, 3), list(hess, 3)}, {loss:value_grad_hess({1, 2, 4}, {1, 2, 3})})
    equal(ffi.sizeof(grad), 24)
    local f = ffi.new("float[3]", {1, 2, 4})
    equal(ffi.sizeof(loss:grad(f, f)), 12)
    local out = ffi.new("double[3]")
    local _, same = loss:value_and_grad(p, y, {out = out})
    assert(rawequal(same, out))
    equal(list(out, 3), list(grad, 3))
    local w, m = ffi.new("double[3]", {1, 1, 2}), ffi.new("uint8_t[3]", {1, 0, 1})
    equal(loss(p, y, {weight = w, mask = m}), loss({1, 2, 4}, {1, 2, 3}, {weight = {1, 1, 2}, mask = {1, 0, 1}}))
    local b = ffi.new("bool[3]", {true, false, true})
    equal(loss(p, y, {mask = b}), loss({1, 2, 4}, {1, 2, 3}, {mask = {1, 0, 1}}))
    equal(lossfn.mse(p, y, {threads = 1}), 1 / 3)
    equal(lossfn.mse(p, y, {cached = true}), 1 / 3)
end)

test("what goes through the C module", function()
    equal(list(lossfn.mse(p, y, {reduction = "none"}), 3), {0, 0, 1})
    equal(lossfn.mse(p, {1, 2, 3}), 1 / 3)
    equal(lossfn.mse({1, 2, 4}, y), 1 / 3)
    equal(lossfn.mse.grad({1, 2, 4}, y), lossfn.mse.grad({1, 2, 4}, {1, 2, 3}))
    equal(list(lossfn.mse.grad(p, y, {upstream = 3}), 3), {0, 0, 2})
    equal(list(lossfn.mse.grad(p, {1, 2, 3}), 3), list(lossfn.mse.grad(p, y), 3))
    local out = ffi.new("double[3]")
    assert(rawequal(lossfn.mse.grad(p, y, {upstream = 3, out = out}), out) and out[2] == 2)
    equal(lossfn.custom(function(a) return a, a end)(p, y), 7 / 3)
    equal(lossfn.check("mse", p, y), {})
    local acc = lossfn.Accumulator("mse")
    acc:update(p, y)
    equal(acc:value(), 1 / 3)
end)

test("the other gradients, notes and least values", function()
    local both = lossfn.mse.grad(p, y, {wrt = {"target", "pred"}})
    equal(list(both.target, 3), {0, 0, -2 / 3})
    equal(list(both.pred, 3), {0, 0, 2 / 3})
    equal(list(lossfn.mse.grad(p, y, {wrt = "target"}), 3), {0, 0, -2 / 3})
    equal(lossfn.mse.grad(p, {1, 2, 3}, {wrt = "target"}), {0, 0, -2 / 3}) -- of a table, a table
    equal(list(lossfn.bce_with_logits:minimum(p, ffi.new("double[3]", {0, 1, 1})), 3), {0, 0, 0})
    local value, notes = lossfn.binary_cross_entropy.value_and_notes(ffi.new("double[2]", {0.5, 1.5}), ffi.new("double[2]"))
    assert(value ~= value)
    equal(notes, {domain = true, index = 2})
    equal(select(2, lossfn.mse.value_and_notes(p, y, {mask = ffi.new("uint8_t[3]")})), {empty = true})
end)

test("views within their memory", function()
    local two = ffi.new("double[2]", {1, 2})
    equal(lossfn.view(two, {4}, "f32").shape, {4})
    equal(lossfn.view(two, nil, "f32").shape, {4})
    equal(lossfn.view(ffi.new("uint16_t[3]", {0x3f80, 0, 0}), nil, "bf16"):totable(), {1, 0, 0})
    for _, shape in ipairs {{8}, {3}, {2, 4}} do
        raises("ARGUMENT", "elements, the cdata 4 of f32", lossfn.view, two, shape, "f32")
    end
    raises("ARGUMENT", "elements, the cdata 2 of f64", lossfn.view, ffi.new("float[4]"), {4}, "f64")
    raises("SHAPE", "no whole number", lossfn.view, ffi.new("float[3]"), nil, "f64")
    raises("ARGUMENT", "the shape is a string", lossfn.view, two, "x")
    raises("DTYPE", "unknown dtype", lossfn.view, two, {2}, "nope")
end)

test("views", function()
    local logits, labels = ffi.new("float[6]", {1, 2, 3, 3, 2, 1}), ffi.new("int32_t[2]", {3, 1})
    local pointer = ffi.cast("const float *", logits)
    local pred = lossfn.view(pointer, {2, 3})
    equal(lossfn.cross_entropy(pred, labels), lossfn.cross_entropy(lossfn.array({{1, 2, 3}, {3, 2, 1}}, "f32"), {3, 1}))
    equal(lossfn.view(logits).shape, {6})
    equal(lossfn.view(logits, {3, 2}):totable(), {{1, 2}, {3, 3}, {2, 1}})
    pred[1][1] = 9
    equal(logits[0], 9)
    equal(ffi.cast("float *", pred:ptr())[0], 9)
    equal(lossfn.view(ffi.cast("void *", logits), {6}, "f32"):totable()[1], 9)
    local kept = lossfn.view(ffi.new("double[2]", {5, 6}))
    for _ = 1, 10 do
        collectgarbage()
        ffi.new("double[1000]")
    end
    equal(kept:totable(), {5, 6})
end)

test("errors", function()
    raises("ARGUMENT", "a pointer needs a shape", lossfn.mse, ffi.cast("double *", p), y)
    raises("ARGUMENT", "has no known elements", lossfn.view, ffi.cast("void *", p), {3})
    raises("ARGUMENT", "the shape has 4 elements, the cdata 3", lossfn.view, p, {2, 2})
    raises("ARGUMENT", "view takes a cdata, not a table", lossfn.view, {1})
    raises("SHAPE", "", lossfn.mse, p, ffi.new("double[2]"))
    raises("LABEL", "target[1] is 7", lossfn.cross_entropy, lossfn.view(ffi.new("float[6]"), {2, 3}), ffi.new("int[2]", {7, 1}))
end)

test("many calls, compiled", function()
    local loss, total, out = lossfn.create("mse"), 0, ffi.new("double[3]")
    for i = 1, 2000 do
        p[0] = i
        total = total + loss:value_and_grad(p, y, {out = out})
    end
    p[0] = 1
    local expected = 0
    for i = 1, 2000 do expected = expected + loss({i, 2, 4}, {1, 2, 3}) end
    equal(total, expected)
end)

-- SPDX-License-Identifier: MIT
--- lossfn: loss functions with value, gradient and Hessian in one pass.
--
--     local lossfn = require "lossfn"
--     local loss = lossfn.create("huber", {delta = 1.5})           -- or "huber(delta=1.5)"
--     print(loss({1, 2, 4}, {1, 2, 3}))                            -- the mean
--     local value, grad = loss:value_and_grad(pred, target, {weight = w, mask = m})
--     lossfn.cross_entropy(logits, labels, {label_smoothing = 0.1, reduction = "none"})
--
-- Inputs are tables of numbers (their nesting is the shape) or lossfn.arrays; what came in as a table goes out as one.
-- The last table holds everything else: weight, mask, denominator, upstream, wrt, out, hess_kind, threads, cached, and
-- any parameter of the loss. Class labels count from 1 (label_base = 0 changes that). Failures raise a table with code, name
-- and message, which prints as its message.

local before = {rawget(_G, "swig_type"), rawget(_G, "swig_equals")}
local core = require "lossfn.core"
rawset(_G, "swig_type", before[1]) -- SWIG makes two globals; a module has none
rawset(_G, "swig_equals", before[2])

local floor, sort, concat, format = math.floor, table.sort, table.concat, string.format

---@class lossfn.Error
---@field code integer   the library's status, below 0
---@field name string    "LOSSFN_ERROR_SHAPE" ...
---@field message string one line
---@field where string   "script.lua:12: "

---@alias lossfn.Data number|table|lossfn.array what a tensor may be given as

---@class lossfn.array a contiguous array; a[i] counts from 1 and is a row that shares its memory if there are more axes
---@field shape integer[]
---@field dtype string
---@field totable fun(self: lossfn.array): table
---@field tostring fun(self: lossfn.array): string the bytes of the elements, as string.pack makes them
---@field reshape fun(self: lossfn.array, ...: integer|integer[]): lossfn.array the same memory; one extent may be -1
---@field ptr fun(self: lossfn.array): lightuserdata

---@class lossfn.CallOptions
---@field weight? lossfn.Data       a scalar, or pred's axes with extents of 1 where it repeats; rows: one per row
---@field mask? lossfn.Data         nonzero or true = kept; shapes as weight
---@field denominator? number       what a mean divides by, instead of its own total weight
---@field upstream? lossfn.Data     factor of every derivative
---@field wrt? string|string[]      inputs to differentiate by; default: all given ones but target
---@field out? lossfn.array         where the gradient by pred goes
---@field hess_kind? "exact"|"fisher"|"upper"
---@field threads? integer          0: the library's choice
---@field cached? boolean           outputs go through the caches however large they are: where they are read next
---@field vector? lossfn.Data       for hvp
---@field reduction? "mean"|"sum"|"none"|"mean_units"|"mean_all"|"mean_rows"|"per_row"

---@class lossfn
local lossfn = {}

local function fail(status, ...) error(core.make_error(status, format(...))) end

local function check_type(what, x, kind)
    if type(x) ~= kind then fail(core.ERROR_ARGUMENT, "%s is a %s; a %s is expected", what, type(x), kind) end
    return x
end

-- C would read it up to a zero byte.
local function check_text(what, x)
    local at = check_type(what, x, "string"):find("\0", 1, true)
    if at then fail(core.ERROR_SPEC, "%s: a zero byte at column %d", what, at) end
    return x
end

-- C would cut off what is behind the point, or beyond its range.
local function check_whole(what, x, lowest, highest)
    check_type(what, x, "number")
    if not (x >= lowest and x <= highest) or x ~= floor(x) then
        fail(core.ERROR_ARGUMENT, "%s is %.14g; it can be %d to %d", what, x, lowest, highest)
    end
    return x
end

-- ---- Arrays ----------------------------------------------------------------------------------------------------------

---@class lossfn.array_module
---@overload fun(values: lossfn.Data, dtype?: string): lossfn.array
local array = setmetatable({}, {__call = function(_, values, dtype) return core.array_new(values, dtype) end})
lossfn.array = array

--- An array of zeros: array.zeros({2, 3}, "f32").
---@return lossfn.array
function array.zeros(shape, dtype) return core.array_zeros(type(shape) == "number" and {shape} or shape, dtype) end

--- An array from the bytes of its elements: array.fromstring(bytes, "f64", {2, 3}); without a shape it has one axis.
---@return lossfn.array
function array.fromstring(bytes, dtype, shape)
    return core.array_from_bytes(bytes, dtype, type(shape) == "number" and {shape} or shape)
end

--- Whether x is a lossfn.array.
function array.is(x) return core.is_array(x) end

-- ---- LuaJIT's cdata --------------------------------------------------------------------------------------------------

local ffi_path
if rawget(_G, "jit") then
    local there, module = pcall(require, "lossfn.ffi")
    ffi_path = there and module or nil
end

--- The memory of a cdata pointer or array as a lossfn.array, without a copy: view(pointer, {rows, columns}). A cdata array
--- of one dimension needs no shape. Only for LuaJIT.
---@return lossfn.array
function lossfn.view(cdata, shape, dtype)
    if not ffi_path then fail(core.ERROR_UNSUPPORTED, "view is for LuaJIT with its ffi") end
    local address, name, extents, message = ffi_path.describe(cdata, type(shape) == "number" and {shape} or shape, dtype)
    if not address then fail(core.ERROR_ARGUMENT, "%s", message) end
    return core.array_borrow(address, name, extents, cdata)
end

-- ---- Handles ---------------------------------------------------------------------------------------------------------

local function set_option(options, key, value)
    local kind = type(value)
    if kind == "number" then
        if value == floor(value) and value > -2 ^ 53 and value < 2 ^ 53 then
            core.options_set_int(options, key, value)
        else
            core.options_set_double(options, key, value)
        end
    elseif kind == "boolean" then
        core.options_set_bool(options, key, value and 1 or 0)
    elseif kind == "string" then
        core.options_set_string(options, key, check_text(key, value))
    elseif kind == "table" or core.is_array(value) then
        core.options_set_doubles(options, key, value)
    else
        fail(core.ERROR_PARAMETER, "%s is a %s; a number, a word or a list of numbers is expected", key, kind)
    end
end

local function new_options(params)
    local options = core.options_create()
    for key, value in pairs(params) do
        if type(key) ~= "string" then
            fail(core.ERROR_ARGUMENT, "parameters have names, as in {delta = 1.5}; found the key %s", tostring(key))
        end
        set_option(options, key, value)
    end
    return options
end

-- What the catalogue says of the inputs of a handle, by name. A loss without a name has nothing there.
local function input_infos(handle)
    local found = {}
    for c = 0, core.component_count(handle) - 1 do
        local info = core.info()
        if pcall(core.describe, core.component_name(handle, c), info) then
            for i = 0, info.n_inputs - 1 do
                local input = core.input_info()
                core.describe_input(info.name, i, input)
                found[input.name] = found[input.name] or input
            end
        end
    end
    return found
end

-- Labels count from 1 in Lua: said to every loss that has labels, unless its spec or parameters say what they count from.
local function new_handle(text, params)
    params = params or {}
    local empty = next(params) == nil
    local handle = core.create_options(check_text("spec", text), not empty and new_options(params) or nil)
    if params.label_base == nil and not text:find("label_base", 1, true) then
        for _, input in pairs(input_infos(handle)) do
            if input.scale == core.SCALE_LABEL then
                local options = new_options(params)
                core.options_set_int(options, "label_base", 1)
                return core.create_options(text, options)
            end
        end
    end
    return handle
end

-- ---- Calls -----------------------------------------------------------------------------------------------------------

local VALUE, VALUES, HESS, PARTS, HVP = 1, 2, 4, 8, 16 -- LF_VALUE ... in args.i
local hess_kinds = {exact = core.HESS_EXACT, fisher = core.HESS_FISHER, upper = core.HESS_UPPER}
local call_options = {
    weight = true, mask = true, denominator = true, upstream = true, wrt = true, out = true, hess_kind = true,
    threads = true, cached = true, vector = true,
}

---@class lossfn.Loss
---@operator call: number
local Loss = {}
Loss.__index = Loss

local function new_loss(handle, text, custom)
    local loss = setmetatable({handle = handle, text = text, custom = custom, inputs = {}, position = {}, bound = {},
                               n_bound = 0, required = 0, wrt = 0, learnable = {}}, Loss)
    local infos = input_infos(handle)
    for i = 1, core.input_count(handle) do
        local name = core.input_name(handle, i - 1)
        local info = infos[name]
        loss.inputs[i], loss.position[name] = name, i
        if info and info.learnable ~= 0 then loss.learnable[name] = true else loss.required = i end
        if name ~= "target" and (not info or info.differentiable ~= 0) then loss.wrt = loss.wrt + 2 ^ (i - 1) end
    end
    local reduction = core.get_text(handle, "reduction")
    loss.unreduced = reduction == "none" or reduction == "per_row"
    if ffi_path and not custom and not loss.unreduced then
        local native = true -- a loss written in Lua needs the C module
        for c = 0, core.component_count(handle) - 1 do
            native = native and not core.component_name(handle, c):find(".", 1, true)
        end
        loss.ffi_handle = native and ffi_path.handle(handle) or nil
    end
    return loss
end

local function key_of(params)
    local keys = {}
    for key, value in pairs(params) do
        if core.is_array(value) then value = value:totable() end
        if type(value) == "table" then
            local items = {}
            for i, x in ipairs(value) do items[i] = tostring(type(x) == "number" and format("%.17g", x) or x) end
            value = "[" .. concat(items, ",") .. "]"
        elseif type(value) == "number" then
            value = format("%.17g", value)
        else
            value = format("%q", tostring(value))
        end
        keys[#keys + 1] = tostring(key) .. "=" .. value
    end
    sort(keys)
    return concat(keys, ";")
end

-- The loss with other parameters, made once for the same values.
local function bind(loss, params)
    local key = key_of(params)
    local bound = loss.bound[key]
    if bound then return bound end
    if loss.custom then
        local all = {}
        for k, v in pairs(loss.custom.options) do all[k] = v end
        for k, v in pairs(params) do all[k] = v end
        bound = lossfn.custom(loss.custom.fn, all)
    else
        local handle = core.replace(loss.handle, new_options(params))
        bound = new_loss(handle, core.spec(handle))
    end
    if loss.n_bound >= 256 then loss.bound, loss.n_bound = {}, 0 end
    loss.bound[key], loss.n_bound = bound, loss.n_bound + 1
    return bound
end

-- A table without [1] that has names in it: the options at the end of a call.
local function is_options(x)
    return type(x) == "table" and getmetatable(x) == nil and x[1] == nil and type((next(x))) == "string"
end

-- The arguments of a verb as a call (see args.i), and the loss with the parameters among them.
local function prepare(loss, want, derive, ...)
    local n = select("#", ...)
    local call, params, names = {...}, nil, nil
    local options = n > 0 and call[n] or nil
    if is_options(options) or (n > loss.required and type(options) == "table" and next(options) == nil) then
        call[n], n = nil, n - 1
        for key, value in pairs(options) do
            if call_options[key] then
                call[key] = value
            elseif loss.position[key] and not (loss.learnable[key] and type(value) == "number") then
                local i = loss.position[key]
                if call[i] ~= nil then fail(core.ERROR_ARGUMENT, "%s is given twice", key) end
                call[i] = value
                if i > n then n = i end
            else
                params = params or {}
                params[key] = value
            end
        end
    end
    if params then loss = bind(loss, params) end
    while n > loss.required and call[n] == nil do n = n - 1 end
    if n > #loss.inputs then
        fail(core.ERROR_ARGUMENT, "%s takes %d inputs (%s), %d were given", core.name(loss.handle), #loss.inputs,
            concat(loss.inputs, ", "), n)
    end
    for i = 1, loss.required do
        if call[i] == nil then fail(core.ERROR_ARGUMENT, "%s is missing", loss.inputs[i]) end
    end
    local kind = call.hess_kind
    if kind ~= nil then
        call.hess_kind = hess_kinds[kind]
        if not call.hess_kind then
            fail(core.ERROR_ARGUMENT, "hess_kind is %s; there are exact, fisher, upper", tostring(kind))
        end
    end
    if call.threads ~= nil then check_whole("threads", call.threads, 0, 256) end
    call.loss, call.n = loss.handle, n
    call.want = (want % 2 == 1 and loss.unreduced) and want + (VALUES - VALUE) or want

    if derive then
        local wrt = call.wrt
        local bits = 0
        if wrt == nil then
            names = {}
            local left = loss.wrt
            for i = 1, n do
                if left % 2 == 1 and call[i] ~= nil then
                    bits = bits + 2 ^ (i - 1)
                    names[#names + 1] = loss.inputs[i]
                end
                left = floor(left / 2)
            end
            if #names == 1 then names = names[1] end
        else
            names = wrt
            for _, name in ipairs(type(wrt) == "table" and wrt or {wrt}) do
                local i = loss.position[name]
                if not i then
                    fail(core.ERROR_ARGUMENT, "wrt names %s; the inputs are %s", tostring(name), concat(loss.inputs, ", "))
                end
                if floor(bits / 2 ^ (i - 1)) % 2 == 0 then bits = bits + 2 ^ (i - 1) end
            end
        end
        call.wrt = bits
    else
        call.wrt = 0
    end
    return call, loss, names
end

-- The gradient: one, or a table by the names of the inputs.
local function grad_of(loss, result, names)
    if type(names) == "string" then return result.grads[loss.position[names]] end
    local grads = {}
    for _, name in ipairs(names) do grads[name] = result.grads[loss.position[name]] end
    return grads
end

local tensor_options = {"weight", "mask", "upstream", "out", "vector"}

-- Makes views of the cdata in a call, for the C module.
local function with_views(call)
    if ffi_path then
        for i = 1, call.n do
            if type(call[i]) == "cdata" then call[i] = lossfn.view(call[i]) end
        end
        for _, key in ipairs(tensor_options) do
            if type(call[key]) == "cdata" then call[key] = lossfn.view(call[key]) end
        end
    end
    return call
end

-- What is of pred's kind.
local function as_cdata(result)
    for _, key in ipairs {"values", "hess", "hvp"} do result[key] = result[key] and ffi_path.copy(result[key]) end
    return result
end

-- Runs a call: through ffi if it is one of cdata alone, else through the C module. A cdata in gives cdata out.
local function run(loss, call)
    if not ffi_path or type(call[1]) ~= "cdata" then return core.run(loss.handle, with_views(call)) end
    local result = loss.ffi_handle and call.want < PARTS
        and ffi_path.run(loss.ffi_handle, call, call.want % 2 == 1, floor(call.want / HESS) % 2 == 1)
    if result then return result end
    local out, was_cdata = call.out, {}
    for i = 1, call.n do was_cdata[i] = type(call[i]) == "cdata" end
    result = as_cdata(core.run(loss.handle, with_views(call)))
    for i, grad in pairs(result.grads) do
        result.grads[i] = i == 1 and out or was_cdata[i] and ffi_path.copy(grad) or grad
    end
    return result
end

local function value_of(result) -- not `a and b or c`: a value may be anything but nil
    if result.values ~= nil then return result.values end
    return result.value
end

--- The value: a number; one per unit or row with reduction "none" or "per_row".
---@param ... lossfn.Data|lossfn.CallOptions pred, target, ... in the loss's order, options
function Loss:value(...)
    local call, loss = prepare(self, VALUE, false, ...)
    return value_of(run(loss, call))
end
function Loss:__call(...) return self:value(...) end

--- The gradient of the value by pred; a table by the names of the inputs if more than pred are differentiated.
function Loss:grad(...)
    local call, loss, names = prepare(self, 0, true, ...)
    return grad_of(loss, run(loss, call), names)
end

--- The diagonal of the second derivative of the value by pred.
function Loss:hess(...)
    local call, loss = prepare(self, HESS, false, ...)
    return run(loss, call).hess
end

--- Value and gradient in one pass over the data.
function Loss:value_and_grad(...)
    local call, loss, names = prepare(self, VALUE, true, ...)
    local result = run(loss, call)
    return value_of(result), grad_of(loss, result, names)
end

--- Value, gradient and diagonal of the Hessian in one pass over the data.
function Loss:value_grad_hess(...)
    local call, loss, names = prepare(self, VALUE + HESS, true, ...)
    local result = run(loss, call)
    return value_of(result), grad_of(loss, result, names), result.hess
end

--- The Hessian by pred times `vector` (an option of the call).
function Loss:hvp(...)
    local call, loss = prepare(self, HVP, false, ...)
    return run(loss, call).hvp
end

--- The terms of a sum of losses: a list of {name, coefficient, value}, each reduced, without its coefficient.
function Loss:components(...)
    local call, loss = prepare(self, PARTS, false, ...)
    local list = {}
    for i, value in ipairs(run(loss, call).components) do
        list[i] = {name = core.component_name(loss.handle, i - 1), value = value,
                   coefficient = core.component_coefficient(loss.handle, i - 1)}
    end
    return list
end

--- The value with what the library notes about the call: value, {empty = true, domain = true, index = 3}. empty: nothing
--- was kept; domain: an input lies outside the loss's domain, first at element `index` of pred.
function Loss:value_and_notes(...)
    local call, loss = prepare(self, VALUE, false, ...)
    local result = run(loss, call)
    local notes, bits = {index = result.index}, result.notes
    for _, name in ipairs {"empty", "domain", "infeasible"} do
        if bits % 2 == 1 then notes[name] = true end
        bits = floor(bits / 2)
    end
    return value_of(result), notes
end

--- What looks wrong with these arguments: a list of sentences. Reads all data.
---@return string[]
function Loss:check(...)
    local call, loss = prepare(self, 0, false, ...)
    local list = {}
    for line in core.check(loss.handle, with_views(call)):gmatch("[^\n]+") do list[#list + 1] = line end
    return list
end

--- Compares gradients and Hessian with differences: a table with `agrees` and the worst place.
function Loss:check_gradient(...)
    local call, loss = prepare(self, 0, true, ...)
    call.wrt = 0
    local report = core.gradient_report()
    core.check_gradient(loss.handle, with_views(call), report)
    return {agrees = report.agrees ~= 0, worst_input = loss.inputs[report.worst_input + 1] or "hess",
            worst_index = report.worst_index + 1, analytic = report.analytic, numeric = report.numeric,
            error = report.error, compared = report.compared}
end

--- rho, rho', rho'' of a squared residual s, three numbers: rho(s) = 2 loss(sqrt(s)), as least-squares solvers take it.
---@return number, number, number
function Loss:rho(squared) return core.rho(self.handle, check_type("squared", squared, "number")) end

--- The weight of iteratively reweighted least squares, loss'(r)/r of a residual r = pred - target; a list for a list.
function Loss:irls_weight(residual)
    if type(residual) == "table" then residual = core.array_new(residual, "f64") end -- which refuses holes
    if not core.is_array(residual) then
        return core.irls_weight(self.handle, check_type("residual", residual, "number"))
    end
    local list = residual:totable()
    for i, x in ipairs(list) do list[i] = core.irls_weight(self.handle, check_type("residual", x, "number")) end
    return list
end

--- The link of generalized linear models, pred = link(mean): "identity", "log", "logit", "half_logit", "softmax"; nil if
--- there is none.
---@return string?
function Loss:link() return core.link(self.handle) end

--- The link of a mean, or of a list of them (one row of classes): pred.
function Loss:link_apply(mean)
    if type(mean) ~= "table" then return core.link_numbers(self.handle, 0, {mean})[1] end
    return core.link_numbers(self.handle, 0, mean)
end

--- The inverse link of pred, or of a list: the probability, the rate.
function Loss:link_invert(pred)
    if type(pred) ~= "table" then return core.link_numbers(self.handle, 1, {pred})[1] end
    return core.link_numbers(self.handle, 1, pred)
end

--- The best constant prediction, a number, or a list with one per class: what boosting starts from. Called as the loss is;
--- of pred only the shape counts.
function Loss:init_score(...)
    local call, loss = prepare(self, 0, false, ...)
    local found = core.init_score(loss.handle, with_views(call))
    return core.unit(loss.handle) == core.UNIT_ROW and found or found[1]
end

--- The least value that the loss can have for each target: what a perfect prediction costs. Called as the loss is.
function Loss:minimum(...)
    local call, loss = prepare(self, VALUES, false, ...)
    local plain = not ffi_path or type(call[1]) ~= "cdata"
    local result = core.minimum(loss.handle, with_views(call))
    return (plain and result or as_cdata(result)).values
end

--- The text that recreates the loss.
---@return string
function Loss:spec() return core.spec(self.handle) end

--- Its name; "sum" for a sum of losses.
---@return string
function Loss:name() return core.name(self.handle) end

-- Numbers as the library writes them, whatever os.setlocale says: string.format writes 1,5 in some locales, and older
-- versions of tonumber read nothing else there.
local function to_text(x) return (format("%.17g", x):gsub("[^%w+-]+", ".")) end
local function to_number(text)
    return tonumber(text) or type(text) == "string" and tonumber((text:gsub("%.", format("%.1f", 0):sub(2, -2)))) or nil
end

--- A parameter or option: a number, or its text; nil if there is none of that name.
function Loss:get(key)
    local text = core.get_text(self.handle, key)
    return to_number(text) or text
end

function Loss:__tostring()
    if self.custom then return "lossfn.custom(" .. tostring(self.custom.fn) .. ")" end
    return format("lossfn.create(%q)", self:spec())
end

function Loss.__eq(a, b) return a.custom == b.custom and a:spec() == b:spec() end

--- A loss from its name or spec, with parameters: create("huber(delta=1.5)"), create("huber", {delta = 1.5}),
--- create("0.7*categorical_cross_entropy - 0.01*entropy").
---@param spec string|lossfn.Loss
---@param params? table
---@return lossfn.Loss
function lossfn.create(spec, params)
    if type(spec) == "table" and getmetatable(spec) == Loss then
        return params and next(params) and bind(spec, params) or spec
    end
    if type(spec) ~= "string" then
        fail(core.ERROR_ARGUMENT, "a loss is named by a string, not by a %s", type(spec))
    end
    if params ~= nil and type(params) ~= "table" then
        fail(core.ERROR_ARGUMENT, "parameters are a table, as in {delta = 1.5}; got a %s", type(params))
    end
    local handle = new_handle(spec, params)
    return new_loss(handle, core.spec(handle))
end

--- As create, for text from outside: nil, message, code instead of an error.
---@return lossfn.Loss?
---@return string? message
---@return integer? code
function lossfn.try_create(spec, params)
    local made, loss = pcall(lossfn.create, spec, params)
    if made then return loss end
    if type(loss) == "table" and loss.code then return nil, loss.message, loss.code end
    error(loss, 0)
end

-- ---- Losses by name: lossfn.mse(pred, target), lossfn.mse.grad(pred, target), lossfn.huber{delta = 2} -----------------

local families = {}
local verbs = {"value", "grad", "hess", "value_and_grad", "value_grad_hess", "hvp", "components", "value_and_notes", "check",
               "check_gradient", "rho", "irls_weight", "link", "link_apply",
               "link_invert", "init_score", "minimum", "spec", "name", "get"}

local function new_family(name)
    local loss = new_loss(new_handle(name), name)
    local family = {}
    for _, verb in ipairs(verbs) do
        local method = Loss[verb]
        family[verb] = function(first, ...) -- with a dot; a colon does no harm
            if first == family then return method(loss, ...) end
            return method(loss, first, ...)
        end
    end
    return setmetatable(family, {
        __call = function(_, first, ...)
            if select("#", ...) == 0 and is_options(first) then return lossfn.create(name, first) end
            return loss:value(first, ...)
        end,
        __tostring = function() return tostring(loss) end,
        loss = loss,
    })
end

setmetatable(lossfn, {
    __index = function(_, name)
        if type(name) ~= "string" then return nil end
        local family = families[name]
        if not family then
            family = new_family(name)
            families[name] = family
        end
        return family
    end,
})

-- ---- What there is ---------------------------------------------------------------------------------------------------

local function words(text)
    local list = {}
    for word in text:gmatch("[^,]+") do list[#list + 1] = word:match("^%s*(.-)%s*$") end
    return list
end

--- The words for tasks: regression, binary, multiclass ...
---@return string[]
function lossfn.tasks()
    local list = {}
    while core.task_at(#list) do list[#list + 1] = core.task_at(#list) end
    return list
end

local function check_task(task)
    local tasks = lossfn.tasks()
    for _, word in ipairs(tasks) do
        if word == task then return end
    end
    fail(core.ERROR_NOT_FOUND, "no task '%s'; there are %s", tostring(task), concat(tasks, ", "))
end

--- The losses by name: all, or those for a task.
---@param task? string
---@return string[]
function lossfn.names(task)
    if task ~= nil then check_task(task) end
    local list = {}
    for i = 0, core.count() - 1 do
        local name, suits = core.name_at(i), task == nil
        if not suits then
            local info = core.info()
            core.describe(name, info)
            for _, word in ipairs(words(info.tasks)) do suits = suits or word == task end
        end
        if suits then list[#list + 1] = name end
    end
    return list
end

local trait_names = {"CONVEX", "STRICTLY_CONVEX", "STRONGLY_CONVEX", "DIFFERENTIABLE", "TWICE_DIFFERENTIABLE", "SYMMETRIC",
                     "LIPSCHITZ", "NONNEGATIVE", "DISTANCE", "MARGIN", "PROPER", "CALIBRATED"}
local scale_names = {[core.SCALE_REAL] = "real", [core.SCALE_PROBABILITY] = "probability",
                     [core.SCALE_LOG_PROBABILITY] = "log_probability", [core.SCALE_LOGITS] = "logits",
                     [core.SCALE_LABEL] = "label", [core.SCALE_MARGIN_LABEL] = "margin_label",
                     [core.SCALE_POSITIVE] = "positive", [core.SCALE_COUNT] = "count"}
local type_names = {[core.PARAM_DOUBLE] = "number", [core.PARAM_INT] = "integer", [core.PARAM_BOOL] = "boolean",
                    [core.PARAM_CHOICE] = "choice", [core.PARAM_LIST] = "list"}

--- What is known of a loss, by its name, an alias or what it is called elsewhere: name, aliases, family, unit, summary,
--- formula, latex, tasks, see_also, look_alikes, source, kinks, traits, lipschitz, hess_kinds, has_rho, ulp_*; inputs,
--- params, options: lists of tables.
function lossfn.describe(name)
    local info = core.info()
    check_text("name", name)
    core.describe(name, info)
    local d = {inputs = {}, params = {}, options = {}, traits = {}, hess_kinds = {}, has_rho = info.has_rho ~= 0,
               unit = info.unit == core.UNIT_ROW and "row" or "element"}
    for _, key in ipairs {"name", "family", "summary", "formula", "latex", "source", "kinks", "lipschitz", "ulp_value",
                          "ulp_grad", "ulp_hess"} do
        d[key] = info[key]
    end
    d.aliases, d.tasks, d.see_also, d.look_alikes = words(info.aliases), words(info.tasks), words(info.see_also), {}
    for line in info.look_alikes:gmatch("[^\n]+") do d.look_alikes[#d.look_alikes + 1] = line end
    for _, trait in ipairs(trait_names) do
        d.traits[trait:lower()] = floor(info.traits / core["TRAIT_" .. trait]) % 2 == 1
    end
    for kind, number in pairs(hess_kinds) do d.hess_kinds[kind] = floor(info.hess_kinds / 2 ^ number) % 2 == 1 end
    for i = 1, info.n_inputs do
        local input = core.input_info()
        core.describe_input(name, i - 1, input)
        d.inputs[i] = {name = input.name, doc = input.doc, scale = scale_names[input.scale],
                       differentiable = input.differentiable ~= 0, learnable = input.learnable ~= 0,
                       per_row = input.per_row ~= 0}
    end
    for i = 1, info.n_params + core.common_option_count() do
        local p = core.param_info()
        core.describe_param(name, i - 1, p)
        local list = i <= info.n_params and d.params or d.options
        list[#list + 1] = {name = p.name, doc = p.doc, type = type_names[p.type], default = p.default_value,
                           choices = words(p.choices or ""), learnable = p.learnable ~= 0, lower = p.lower,
                           upper = p.upper, lower_open = p.lower_open ~= 0, upper_open = p.upper_open ~= 0}
    end
    return d
end

--- The losses for a task, best first: recommend("regression", {outliers = true}) gives a list of tables with spec,
--- activation (of the model's output), why, caution, source. Flags: outliers, imbalanced, noisy_labels.
function lossfn.recommend(task, flags)
    check_task(task)
    local bits, list = 0, {}
    for flag, on in pairs(flags or {}) do
        local bit = type(flag) == "string" and core["DATA_" .. flag:upper()]
        if not bit then
            fail(core.ERROR_ARGUMENT, "no flag '%s'; there are outliers, imbalanced, noisy_labels", tostring(flag))
        end
        if on then bits = bits + bit end
    end
    while true do
        local r = core.recommendation()
        local there, problem = pcall(core.recommend, task, bits, #list, r)
        if not there then
            if problem.code == core.ERROR_NOT_FOUND then return list end
            error(problem, 0)
        end
        list[#list + 1] = {spec = r.spec, activation = r.activation, why = r.why, caution = r.caution, source = r.source}
    end
end

--- What looks wrong with a call: check("cross_entropy", probabilities, labels) gives a list of sentences.
function lossfn.check(spec, ...) return lossfn.create(spec):check(...) end

-- ---- Losses written in Lua -------------------------------------------------------------------------------------------

local function definition(fn, options)
    if type(fn) ~= "function" then fail(core.ERROR_ARGUMENT, "a loss is a function of blocks, not a %s", type(fn)) end
    local rest = {}
    for key, value in pairs(options or {}) do rest[key] = value end
    local d = {params = {}, inputs = rest.inputs or {"pred", "target"}}
    check_type("inputs", d.inputs, "table")
    for i, name in ipairs(d.inputs) do check_text("inputs[" .. i .. "]", name) end
    for _, key in ipairs {"rows", "labels", "summary", "formula"} do d[key], rest[key] = rest[key], nil end
    d.rows = d.rows or d.labels
    check_type("params", rest.params or {}, "table")
    for name, default in pairs(rest.params or {}) do
        if type(name) ~= "string" or type(default) ~= "number" then
            fail(core.ERROR_ARGUMENT, "params gives each parameter its default, as in {delta = 1}")
        end
        d.params[#d.params + 1] = {name = name, default = to_text(default), doc = ""}
    end
    sort(d.params, function(a, b) return a.name < b.name end)
    rest.inputs, rest.params = nil, nil
    return d, rest
end

--- Makes fn a loss that every part of the library knows by `name`, which must contain a dot. Returns the loss.
---
--- fn(pred, target, params) -> value, grad[, hess] gets lossfn.arrays (float64) of kept elements of any length n and
--- returns arrays or tables of that length; it must not depend on how elements are cut into blocks. A gradient by more
--- inputs than pred (all but one named target) is a table by their names. Weights, masks, reductions and dtypes come from the library.
---
--- options: params (defaults by name), inputs (names), rows = true (arrays are n x classes, the value is one per row,
--- labels arrive one-hot), labels = true (they arrive as integers from 1), summary, formula.
---@param name string
---@param fn fun(...: lossfn.array|table): any, any, any
---@return lossfn.Loss
function lossfn.register(name, fn, options)
    local d, rest = definition(fn, options)
    local unknown = next(rest)
    if unknown ~= nil then fail(core.ERROR_ARGUMENT, "register has no option '%s'", tostring(unknown)) end
    if type(name) ~= "string" then fail(core.ERROR_ARGUMENT, "a name is a string, not a %s", type(name)) end
    core.register_loss(check_text("name", name), fn, d)
    families[name] = nil
    return lossfn.create(name)
end

--- Forgets a registered loss. Those created before go on working.
function lossfn.unregister(name)
    core.unregister_loss(check_text("name", name))
    families[name] = nil
end

--- A loss from fn without a name; options as register, and values of its parameters and of the common options.
---@return lossfn.Loss
function lossfn.custom(fn, options)
    local d, values = definition(fn, options)
    if d.rows and values.label_base == nil then values.label_base = 1 end
    local handle = core.custom_loss(next(values) ~= nil and new_options(values) or nil, fn, d)
    return new_loss(handle, nil, {fn = fn, options = options or {}})
end

-- ---- Accumulators ----------------------------------------------------------------------------------------------------

--- A loss over batches. Over any split of the data, merged in any order, value() has the bits of one call over all of it.
---@class lossfn.Accumulator
---@field sum number         exact, rounded once (of the first term of a sum of losses)
---@field denominator number what the value divides by
local Accumulator = {}

local function new_accumulator(handle, loss) return setmetatable({handle = handle, loss = loss}, Accumulator) end

function Accumulator:__index(key)
    if key == "sum" or key == "denominator" then
        local sum, denominator = core.accumulator_parts(rawget(self, "handle"), 0)
        return key == "sum" and sum or denominator
    end
    return Accumulator[key]
end

function Accumulator:__tostring() return format("lossfn.Accumulator of %s: %.17g", self.loss:spec(), self:value()) end

--- Adds a batch: inputs, weight and mask as for a loss. One that fails adds nothing.
function Accumulator:update(...)
    local call, loss = prepare(self.loss, 0, false, ...)
    if loss ~= self.loss then fail(core.ERROR_ARGUMENT, "parameters belong to the Accumulator's loss, not to update") end
    core.accumulator_update(self.handle, with_views(call))
end

--- Adds what another accumulator of the same loss holds.
function Accumulator:merge(other)
    if getmetatable(other) ~= Accumulator then
        fail(core.ERROR_ARGUMENT, "merge takes an Accumulator, not a %s", type(other))
    end
    core.accumulator_merge(self.handle, other.handle)
end

--- The reduced loss so far; NaN if nothing was kept.
---@return number
function Accumulator:value() return (core.accumulator_value(self.handle)) end

--- Sum and denominator of a term of a sum of losses, from 1.
function Accumulator:parts(term)
    local terms = core.component_count(self.loss.handle)
    return core.accumulator_parts(self.handle, check_whole("term", term or 1, 1, terms) - 1)
end

--- Forgets all batches.
function Accumulator:reset() core.accumulator_reset(self.handle) end

--- Bytes that recreate it, on any machine and in any language.
---@return string
function Accumulator:to_bytes() return core.accumulator_write(self.handle) end

---@overload fun(spec: string|lossfn.Loss, params?: table): lossfn.Accumulator
lossfn.Accumulator = setmetatable({
    --- What to_bytes() gave.
    ---@return lossfn.Accumulator
    from_bytes = function(bytes)
        local handle = core.accumulator_read(bytes)
        local a, b, c, d = bytes:byte(5, 8) -- the bytes begin with LFA1, the length of the spec, the spec
        local spec = bytes:sub(9, 8 + a + 256 * (b + 256 * (c + 256 * d)))
        return new_accumulator(handle, new_loss(core.create(spec), spec)) -- which says what its labels count from
    end,
}, {
    __call = function(_, spec, params)
        local loss = lossfn.create(spec, params)
        return new_accumulator(core.accumulator_create(loss.handle), loss)
    end,
})

-- ---- The library -----------------------------------------------------------------------------------------------------

--- How many threads a call may use; 0: what the machine allows.
function lossfn.set_num_threads(threads) core.set_num_threads(check_whole("threads", threads, 0, 256)) end
---@return integer
function lossfn.num_threads() return core.num_threads() end
--- The instruction set in use: "avx512", "avx2", "neon" or "baseline".
---@return string
function lossfn.isa() return core.isa() end
--- The library's version, as "0.1.0".
---@return string
function lossfn.version() return core.version_string() end

return lossfn

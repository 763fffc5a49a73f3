-- SPDX-License-Identifier: MIT
-- LuaJIT: the C library called through ffi, which the compiler turns into plain calls. init.lua uses it by itself when
-- all arrays of a call are cdata; whatever this can't do goes through the C module, on views of the same memory.
local ffi = require "ffi"
local core = require "lossfn.core"

-- The copy that lossfn.core is linked with is loaded already: the loader finds it again by its name.
ffi.cdef(require "lossfn.cdef")
local function load(name)
    local found, library = pcall(ffi.load, name)
    return found and library or nil
end
local C = assert(load("liblossfn.so." .. core.abi_version()) or load("lossfn"), "liblossfn is not found")

local M = {}

local element_types = {
    {"double", "f64"}, {"float", "f32"}, {"int8_t", "i8"}, {"int16_t", "i16"}, {"int32_t", "i32"}, {"int64_t", "i64"},
    {"uint8_t", "u8"}, {"uint16_t", "u16"}, {"uint32_t", "u32"}, {"uint64_t", "u64"}, {"bool", "bool"},
}
local numbers = {f64 = C.LOSSFN_F64, f32 = C.LOSSFN_F32, i8 = C.LOSSFN_I8, i16 = C.LOSSFN_I16, i32 = C.LOSSFN_I32,
                 i64 = C.LOSSFN_I64, u8 = C.LOSSFN_U8, u16 = C.LOSSFN_U16, u32 = C.LOSSFN_U32, u64 = C.LOSSFN_U64,
                 bool = C.LOSSFN_BOOL}
for _, t in ipairs(element_types) do
    t.new, t.number, t.size = ffi.typeof(t[1] .. "[?]"), numbers[t[2]], ffi.sizeof(t[1])
end

local sizes = {f16 = 2, bf16 = 2}
for _, t in ipairs(element_types) do sizes[t[2]] = t.size end

local by_type = {}
local function look_at(x)
    local id = tonumber(ffi.typeof(x))
    local kind = by_type[id]
    if kind == nil then
        kind = false
        local text = tostring(ffi.typeof(x)) -- ctype<const double (&)[3]>, ctype<float *>, ctype<int [?]>
        local name, rest = text:match("^ctype<([%a%d_ ]-)%s*([%*%(%[].*)>$")
        name = name and name:gsub("const", ""):gsub("^%s+", ""):gsub("%s+$", "")
        if name and (rest == "*" or rest:match("^%(?&?%)?%[[%d%?]+%]$")) then
            for _, t in ipairs(element_types) do
                if tostring(ffi.typeof(t[1])) == "ctype<" .. name .. ">" then
                    kind = {type = t, pointer = rest == "*"}
                    break
                end
            end
        end
        by_type[id] = kind
    end
    if not kind then return nil end
    if kind.pointer then return kind.type end
    return kind.type, ffi.sizeof(x) / kind.type.size
end

-- The type of the elements and their number (nil behind a bare pointer); nothing for a cdata of another kind. Kept for
-- each array, because sizeof is what the compiler can't compile.
local types, lengths = setmetatable({}, {__mode = "k"}), setmetatable({}, {__mode = "k"})
local function kind_of(x)
    local t = types[x]
    if t then return t, lengths[x] end
    local n
    t, n = look_at(x)
    if n then types[x], lengths[x] = t, n end
    return t, n
end

--- For lossfn.view: address, dtype and shape of a cdata; nil, nil, nil, message if they are not known.
function M.describe(x, shape, dtype)
    if type(x) ~= "cdata" then return nil, nil, nil, "view takes a cdata, not a " .. type(x) end
    local t, n = kind_of(x)
    dtype = dtype or (t and t[2])
    if not dtype then
        return nil, nil, nil, "a " .. tostring(ffi.typeof(x)):match("<(.*)>") .. " has no known elements; name their dtype"
    end
    local size = sizes[dtype] -- nil: an unknown dtype, which init.lua's array will refuse
    local there = n and size and n * t.size / size
    if not shape then
        if not n then return nil, nil, nil, "a pointer needs a shape: lossfn.view(pointer, {rows, columns})" end
        shape = {there or n}
    elseif type(shape) ~= "table" then
        return nil, nil, nil, "the shape is a " .. type(shape) .. "; a list of numbers is expected"
    elseif there then
        local wanted = 1
        for _, extent in ipairs(shape) do wanted = wanted * (tonumber(extent) or 0 / 0) end
        if wanted ~= there then
            return nil, nil, nil, "the shape has " .. wanted .. " elements, the cdata " .. there .. " of " .. dtype
        end
    end
    return tonumber(ffi.cast("uintptr_t", ffi.cast("const void *", x))), dtype, shape
end

--- A cdata array with the elements of a lossfn.array, whose axes it forgets.
function M.copy(array)
    for _, t in ipairs(element_types) do
        if core.dtype_name(t.number) == array.dtype then
            local n = 1
            for _, extent in ipairs(array.shape) do n = n * extent end
            local made = t.new(n)
            ffi.copy(made, array:ptr(), n * t.size)
            return made
        end
    end
    return array
end

-- One set of structs serves all calls: none is inside another, because losses written in Lua don't come here.
local args, exec = ffi.new("lossfn_args_t"), ffi.new("lossfn_exec_t")
local tensors = ffi.new("lossfn_tensor_t[16]")
local value = ffi.new("double[1]")
for i = 0, 15 do tensors[i].ndim, tensors[i].device_type = 1, C.LOSSFN_DEVICE_CPU end

local cast, void = ffi.cast, ffi.typeof("void *")
local function fill(i, x, t, n)
    local tensor = tensors[i]
    tensor.data, tensor.dtype, tensor.shape[0] = cast(void, x), t.number, n
    return tensor
end

--- A call of init.lua, if all its arrays are cdata of one axis and known length: its result. Otherwise nil.
--- want: bits of init.lua; `wrt` at most pred.
function M.run(handle, call, value_wanted, hess_wanted)
    if call.wrt > 1 or call.upstream or call.vector or call.denominator then return nil end
    C.lossfn_args_init(args)
    C.lossfn_exec_init(exec)
    local kind, length
    for i = 1, call.n do
        local x = call[i]
        if type(x) ~= "cdata" then return nil end
        local t, n = kind_of(x)
        if not n then return nil end
        if i == 1 then kind, length = t, n end
        args.inputs[i - 1] = fill(i - 1, x, t, n)
    end
    local weight, mask = call.weight, call.mask
    if weight ~= nil then
        if type(weight) ~= "cdata" then return nil end
        local t, n = kind_of(weight)
        if not n then return nil end
        args.weight = fill(9, weight, t, n)
    end
    if mask ~= nil then
        if type(mask) ~= "cdata" then return nil end
        local t, n = kind_of(mask)
        if not n then return nil end
        args.mask = fill(10, mask, t, n)
    end
    if kind ~= element_types[1] and kind ~= element_types[2] then return nil end
    args.n_inputs = call.n
    args.hess_kind = call.hess_kind or 0
    exec.threads = call.threads or 0
    exec.flags = call.cached and C.LOSSFN_EXEC_CACHED or 0
    args.exec = exec

    local result = {grads = {}}
    if value_wanted then args.value = value end
    if call.wrt == 1 then
        local grad, n = call.out, length
        if grad == nil then
            grad = kind.new(length)
        else
            local t
            if type(grad) ~= "cdata" then return nil end
            t, n = kind_of(grad)
            if not n or t ~= kind then return nil end
        end
        args.grads[0] = fill(11, grad, kind, n)
        result.grads[1] = grad
    end
    if hess_wanted then
        result.hess = kind.new(length)
        args.hess = fill(12, result.hess, kind, length)
    end
    if C.lossfn_scratch_size(handle, args) > 0 then return nil end
    local status = C.lossfn_run(handle, args)
    if status ~= 0 then error(core.make_error(status, ffi.string(C.lossfn_last_error())), 0) end
    if value_wanted then result.value = value[0] end
    result.notes = args.notes
    if args.note_index >= 0 then result.index = tonumber(args.note_index) + 1 end
    return result
end

--- The handle of the C module as ffi's.
function M.handle(handle) return ffi.cast("const lossfn_t *", core.address(handle)) end

return M

# SPDX-License-Identifier: MIT
"""Python and Lua give the bits of the C call: every loss with all of its parameters, hard and soft targets, reductions,
weights, masks and dtypes."""

import os
import shutil
import subprocess
import zlib

import clib
import harness
import lossfn
import numpy as np
import pytest
import reference
from harness import NAMES, REDUCTIONS

LUAS = [name for name in ("lua5.1", "lua5.2", "lua5.3", "lua5.4", "luajit") if shutil.which(name)]
# A line is a case: spec; names of the gradients; name=dtype:extents:bytes of each input, or +name= of each option | results
SCRIPT = r"""
local lossfn = require "lossfn"
local array = lossfn.array
local function bytes(hex) return (hex:gsub("%x%x", function(x) return string.char(tonumber(x, 16)) end)) end
local function hex(text) return (text:gsub(".", function(c) return string.format("%02x", c:byte()) end)) end
local function canonical(x)
    if type(x) == "number" then x = array({x}, "f64") end
    return hex(x:tostring())
end
local count = 0
for line in io.lines(arg[1]) do
    local spec, wrt, given, wanted = line:match("^([^;]*);([^;]*);([^|]*)|(.*)$")
    local inputs, options, names, want = {}, {wrt = {}}, {}, {}
    for name in wrt:gmatch("%S+") do options.wrt[#options.wrt + 1] = name end
    for name, dtype, shape, data in given:gmatch("(%S+)=(%w+):([%d,]*):(%x*)") do
        local extents = {}
        for n in shape:gmatch("%d+") do extents[#extents + 1] = tonumber(n) end
        local x = array.fromstring(bytes(data), dtype, extents)
        if name:sub(1, 1) == "+" then options[name:sub(2)] = x else inputs[#inputs + 1] = x end
    end
    for name, data in wanted:gmatch("(%S+)=(%x*)") do want[name] = data end
    local loss = lossfn.create(spec)
    inputs[#inputs + 1] = options
    local unpack = table.unpack or unpack
    local value, grads, hess
    if want.hess then value, grads, hess = loss:value_grad_hess(unpack(inputs))
    else value, grads = loss:value_and_grad(unpack(inputs)) end
    local got = {value = value, hess = hess}
    for name, g in pairs(grads) do got["grad:" .. name] = g end
    for name, data in pairs(want) do
        if canonical(got[name]) ~= data then
            error(line:sub(1, 300) .. "\n" .. name .. " is " .. canonical(got[name]) .. ", not " .. data, 0)
        end
    end
    count = count + 1
end
print(count)
"""


def cases(name):
    """(spec, inputs by name, weight and mask, what C gives)."""
    entry = reference.LOSSES[name]
    rng = np.random.default_rng(zlib.crc32(f"languages {name}".encode()))
    row = entry.unit == "row"
    for turn, params in enumerate(entry.params * 2):
        for dtype in ("f64", "f32", "f16"):
            shape = (5, 4) if row or turn % 2 else (11,)
            made = harness.tame(name, dtype, shape, rng, soft=turn % 3 == 1)
            given = {k: x for k, x in zip(entry.inputs, made) if k not in params}
            if params.get("log_pred"):
                given["pred"] = -np.abs(given["pred"])
            reduction = REDUCTIONS[(turn + len(dtype)) % len(REDUCTIONS)]
            options = reference.expand(params, shape[-1] if row else 0)
            spec = clib.spec(name, reduction=reduction, label_base=0, **options)
            unit = shape[:1] if row else shape
            beside = {"weight": rng.choice([0.0, 0.5, 1.3], unit), "mask": rng.random(unit) < 0.7}
            beside = {k: x for i, (k, x) in enumerate(beside.items()) if turn >> i & 1}
            loss, inputs = clib.Loss(spec), [given.get(k) for k in entry.inputs]
            out = loss.run(*inputs, want="value grads hess", **beside)
            values = dict.fromkeys(("python", "lua"), out.value)
            if out.value is None:  # Python's are of the dtype that is computed in, Lua's of pred's
                for language, to in (("python", harness.compute_dtype(inputs)), ("lua", dtype)):
                    values[language] = loss.run(*inputs, want="values", out=to, **beside).values
            yield spec, given, beside, out, {k: np.asarray(x) for k, x in values.items()}


@pytest.mark.parametrize("name", NAMES)
def test_python(name):
    for spec, given, beside, out, values in cases(name):
        loss, wrt = lossfn.create(spec), tuple(out.grads)
        if out.hess is not None:
            value, grads, hess = loss.value_grad_hess(**given, **beside, wrt=wrt)
            assert clib.canonical(hess) == clib.canonical(out.hess), spec
        else:
            value, grads = loss.value_and_grad(**given, **beside, wrt=wrt)
        assert grads._fields == wrt
        for key in wrt:
            assert clib.canonical(getattr(grads, key)) == clib.canonical(out.grads[key]), (spec, key)
        assert clib.canonical(np.asarray(value)) == clib.canonical(values["python"]), spec


def written(x):
    return f"{clib.dtype_of(x)}:{','.join(map(str, x.shape))}:{x.tobytes().hex()}"


@pytest.fixture(scope="module")
def lines(tmp_path_factory):
    path, n = tmp_path_factory.mktemp("lua") / "cases", 0
    with path.open("w") as file:
        for name in NAMES:
            learnable = reference.LOSSES[name].learnable
            for spec, given, beside, out, values in cases(name):
                inputs = [f"{'+' * (k in learnable)}{k}={written(x)}" for k, x in given.items()]
                inputs += [f"+{k}={written(x)}" for k, x in beside.items()]
                results = {"value": values["lua"], "hess": out.hess, **{f"grad:{k}": g for k, g in out.grads.items()}}
                if any(x is not None and np.isnan(x).any() for x in results.values()):
                    continue  # of any sign and payload
                found = [f"{k}={clib.canonical(x).hex()}" for k, x in results.items() if x is not None]
                file.write(f"{spec};{' '.join(out.grads)};{' '.join(inputs)}|{' '.join(found)}\n")
                n += 1
    assert n > 10 * len(NAMES)
    return path, n


@pytest.mark.parametrize("interpreter", LUAS)
def test_lua(interpreter, lines, tmp_path):
    path, n = lines
    version = interpreter[3:]
    if version in ("5.2", "5.3", "5.4") and f"LUA_CPATH_{version.replace('.', '_')}" not in os.environ:
        pytest.skip(f"there is no module for {interpreter}")
    script = tmp_path / "languages.lua"
    script.write_text(SCRIPT)
    done = subprocess.run([interpreter, script, path], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) == n

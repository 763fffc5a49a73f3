# SPDX-License-Identifier: MIT
"""The class of all losses."""

from __future__ import annotations

import inspect
import numbers
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from . import _arrays, _core
from ._errors import Error, NotFoundError, ParameterError, SpecError
from ._native import fill, read

_run = _core.run

_VALUE, _GRAD, _HESS, _COMPONENTS, _HVP, _UNREDUCED = 1, 2, 4, 8, 16, 32  # WANT_ in call.h
_GRADS_SHIFT, _INTS_SHIFT = 8, 16

# Keywords of a call that are neither inputs nor parameters of a loss; the same as in call.h.
_CALL = frozenset(
    ("weight", "mask", "sample_weight", "upstream", "denominator", "out", "grad_out", "hess_out")
    + ("wrt", "hess_kind", "threads", "cached", "vector", "y_pred", "y_true")
)
_BOUND_LIMIT = 256


class Component(NamedTuple):
    """One term of a sum of losses."""

    name: str
    coefficient: float
    value: float


class Rho(NamedTuple):
    """rho and its first and second derivative by the squared residual."""

    rho: Any
    first: Any
    second: Any


def checked_text(what: str, text: str) -> str:
    """C would read it up to a zero byte."""
    if "\0" in text:
        raise SpecError(f"{what}: a zero byte at column {text.index(chr(0)) + 1}")
    return text


def checked_name(what: str, name: Any) -> str:
    if not isinstance(name, str):
        raise TypeError(f"a loss is named by a str, not by a {type(name).__name__}")
    return checked_text(what, name)


def is_bool(value: Any) -> bool:
    """Python's or NumPy's, which is called bool_ or bool by its version."""
    return isinstance(value, bool) or type(value).__name__ in ("bool", "bool_")


def _hashable(value: Any) -> Any:
    if hasattr(value, "tolist"):
        value = value.tolist()
    return tuple(value) if isinstance(value, list) else value


def _is_list(value: Any) -> bool:
    """Of one dimension, and in an order."""
    return hasattr(value, "__len__") and hasattr(value, "__getitem__") and not isinstance(value, Mapping)


def _numbers(key: str, value: Any) -> Sequence[Any]:
    shape = getattr(value, "shape", (0,))
    if len(shape) != 1:
        raise ParameterError(f"{key} has shape {tuple(shape)}; a list of numbers is expected")
    values: Sequence[Any] = _hashable(value)
    for i, x in enumerate(values):
        if not isinstance(x, numbers.Real) and not hasattr(x, "__float__"):
            raise ParameterError(f"{key}[{i}] is {x!r}; a number is expected")
    return values


def _set_option(options: Any, key: str, value: Any) -> None:
    if isinstance(value, str):
        _core.options_set_string(options, key, checked_text(key, value))
    elif _is_list(value) and getattr(value, "ndim", 1) > 0:
        _core.options_set_doubles(options, key, _numbers(key, value))
    elif is_bool(value):
        _core.options_set_bool(options, key, bool(value))
    elif isinstance(value, numbers.Integral):
        whole = int(value)
        if not -(2**63) <= whole < 2**63:
            raise ParameterError(f"{key} is an integer of more than 64 bits")
        _core.options_set_int(options, key, whole)
    elif isinstance(value, numbers.Real) or hasattr(value, "__float__"):
        _core.options_set_double(options, key, float(value))
    else:
        raise ParameterError(f"{key} is a {type(value).__name__}; a number, a word or a list of numbers is expected")


def new_options(params: dict[str, Any]) -> Any:
    """An options builder of the C library with these parameters; None means "not set"."""
    options = _core.options_create()
    for key, value in params.items():
        if value is not None:
            _set_option(options, key, value)
    return options


def _check_reduction(params: dict[str, Any]) -> None:
    """None may be meant as no reduction, as elsewhere, or as the default."""
    if "reduction" in params and params["reduction"] is None:
        raise ParameterError("reduction is None; that of no reduction is 'none', the default 'mean'")


def new_handle(spec: str, params: dict[str, Any]) -> Any:
    """A handle of the C library."""
    checked_name("spec", spec)
    _check_reduction(params)
    return _core.create_options(spec, new_options(params)) if params else _core.create(spec)


class _PerLoss:
    """An attribute that a loss has and the class has otherwise: help() and signature() of lossfn.huber show huber's."""

    def __init__(self, of_class: Any, of_loss: Callable[[Loss], Any]) -> None:
        self.of_class, self.of_loss = of_class, of_loss

    def __get__(self, loss: Loss | None, owner: type | None = None) -> Any:
        return self.of_class if loss is None else self.of_loss(loss)


_DOC = """A loss function with its parameters: immutable, callable, comparable, picklable.

Inputs are positional in the order of `inputs` (most losses: pred, target) or named (y_pred, y_true are understood).
Everything else goes by keyword:

weight          array that multiplies each unit's value: a scalar, or as many dimensions as pred with extents of 1 where
                it repeats, (N, 1) per row and (1, D) per column; losses of rows take one weight per row
sample_weight   the same, one number per position of axis 0
mask            nonzero = kept; shapes as weight
reduction       "mean" (default: sum / total weight), "sum", "none", "mean_units", "mean_all", "mean_rows", "per_row"
denominator     what a mean divides by instead of its own total weight: a global batch, gradient accumulation
upstream        factor of every derivative
wrt             name or tuple of names: which inputs to differentiate by; default: all given ones but target
out, grad_out, hess_out    arrays to write to
hess_kind       "exact" (default), "fisher" or "upper"
threads         0 (default: the library's choice) or a number
cached          True where outputs are read next: they go through the caches however large they are
and every parameter of the loss; see lossfn.describe(name).
"""


class Loss:
    __doc__ = _PerLoss(_DOC, lambda loss: loss._make_doc())
    __signature__ = _PerLoss(None, lambda loss: loss._make_signature())

    __slots__ = (
        "__weakref__",
        "_bound",
        "_flags",
        "_function",
        "_handle",
        "_is_call",
        "_keywords",
        "_learnable",
        "_spec",
        "_value_flags",
        "_value_grad_flags",
    )

    def __init__(self, spec: str, /, **params: Any) -> None:
        self._setup(new_handle(spec, params), None, None)

    @classmethod
    def _from_handle(cls, handle: Any, function: tuple[Any, ...] | None = None, inputs: Any = None) -> Loss:
        loss = cls.__new__(cls)
        loss._setup(handle, function, inputs)
        return loss

    def _setup(self, handle: Any, function: tuple[Any, ...] | None, inputs: Any) -> None:
        self._handle = handle
        self._function = function  # of a loss without a name: (callable, options, parameters), for pickle
        self._spec = read(_core.spec, handle)
        self._bound: dict[Any, Loss] = {}
        names = [_core.input_name(handle, i) for i in range(_core.input_count(handle))]
        known = self._input_infos() if inputs is None else inputs
        learnable, grads, ints = set(), 0, 0
        for i, name in enumerate(names):
            info = known.get(name)
            if name == "target" or (info and info["scale"] == _core.SCALE_LABEL):
                ints |= 1 << i
            if name != "target" and (info is None or info["differentiable"]):
                grads |= 1 << i
            if info and info["learnable"]:
                learnable.add(name)
        self._learnable = frozenset(learnable)
        self._keywords = _CALL.union(names) - self._learnable
        self._is_call = self._keywords.issuperset  # of options: no parameter is among them
        self._flags = grads << _GRADS_SHIFT | ints << _INTS_SHIFT
        if read(_core.get_text, handle, "reduction") in ("none", "per_row"):
            self._flags |= _UNREDUCED
        self._value_flags = self._flags | _VALUE
        self._value_grad_flags = self._flags | _VALUE | _GRAD

    def _input_infos(self) -> dict[str, dict[str, Any]]:
        found: dict[str, dict[str, Any]] = {}
        for c in range(_core.component_count(self._handle)):
            try:
                name = _core.component_name(self._handle, c)
                for i in range(fill("info", _core.describe, name)["n_inputs"]):
                    info = fill("input_info", _core.describe_input, name, i)
                    found.setdefault(info["name"], info)
            except NotFoundError:  # one that was unregistered
                pass
        return found

    def _bind(self, options: dict[str, Any]) -> Loss:
        """The loss with those parameters that are among `options`, which are taken out. It is made once
        for the same values, so that a call with parameters costs little more than one without."""
        params = [(name, options[name]) for name in options if name not in self._keywords]
        if self._learnable:  # an array is an input, a number a parameter
            params = [item for item in params if item[0] not in self._learnable or isinstance(item[1], numbers.Real)]
        if not params:
            return self
        for name, _ in params:
            del options[name]
        _check_reduction(dict(params))
        try:
            key: Any = params[0] if len(params) == 1 else frozenset(params)
            found = self._bound.get(key)
        except TypeError:  # a list or an array
            try:
                key = frozenset((name, _hashable(value)) for name, value in params)
                found = self._bound.get(key)
            except TypeError:  # nothing that a parameter can be
                return self.replace(**dict(params))
        if found is not None:
            return found
        bound = self.replace(**dict(params))
        if len(self._bound) >= _BOUND_LIMIT:
            self._bound.clear()
        self._bound[key] = bound
        return bound

    def replace(self, **params: Any) -> Loss:
        """The same loss with other parameters; None sets one back to what it is by default."""
        if self._function is not None:
            from ._register import custom

            function, kinds, before = self._function
            return custom(function, **kinds, **{**before, **params})
        options = new_options(params)
        for key, value in params.items():
            if value is None:
                _core.options_set_default(options, key)
        return Loss._from_handle(_core.replace(self._handle, options))

    # ---- Computing. Each verb calls the C side itself, so that a warning points at the user's line. ----

    def __call__(self, *inputs: Any, **options: Any) -> Any:
        """The value: a float; an array with reduction "none" or "per_row"."""
        loss = self._bind(options) if options and not self._is_call(options) else self
        return _run((loss._handle, loss._value_flags, inputs, options))

    value = __call__

    def grad(self, *inputs: Any, **options: Any) -> Any:
        """The gradient of the value by pred; a named tuple if other inputs than target are given and differentiable."""
        loss = self._bind(options) if options and not self._is_call(options) else self
        return _run((loss._handle, loss._flags | _GRAD, inputs, options))

    def hess(self, *inputs: Any, **options: Any) -> Any:
        """The diagonal of the second derivative of the value by pred."""
        loss = self._bind(options) if options and not self._is_call(options) else self
        return _run((loss._handle, loss._flags | _HESS, inputs, options))

    def value_and_grad(self, *inputs: Any, **options: Any) -> Any:
        """(value, gradient) in one pass over the data."""
        loss = self._bind(options) if options and not self._is_call(options) else self
        return _run((loss._handle, loss._value_grad_flags, inputs, options))

    def value_grad_hess(self, *inputs: Any, **options: Any) -> Any:
        """(value, gradient, diagonal of the Hessian) in one pass over the data."""
        loss = self._bind(options) if options and not self._is_call(options) else self
        return _run((loss._handle, loss._flags | _VALUE | _GRAD | _HESS, inputs, options))

    def hvp(self, *inputs: Any, **options: Any) -> Any:
        """The Hessian by pred times vector=, an array of pred's shape."""
        loss = self._bind(options) if options and not self._is_call(options) else self
        return _run((loss._handle, loss._flags | _HVP, inputs, options))

    def components(self, *inputs: Any, **options: Any) -> list[Component]:
        """The terms of a sum of losses, each reduced, without its coefficient."""
        loss = self._bind(options) if options and not self._is_call(options) else self
        return [Component(*item) for item in _run((loss._handle, loss._flags | _COMPONENTS, inputs, options))]

    def check(self, *inputs: Any, **options: Any) -> list[str]:
        """What looks wrong with these arguments, in words; [] if nothing does. Reads all data."""
        loss = self._bind(options) if options and not self._is_call(options) else self
        text = read(_core.check, (loss._handle, loss._flags, inputs, options), capacity=4096)
        return list(text.splitlines())

    def check_gradient(self, *inputs: Any, **options: Any) -> dict[str, Any]:
        """Compares gradients and Hessian with differences: a report with "agrees" and the worst place."""
        loss = self._bind(options) if options and not self._is_call(options) else self
        call = (loss._handle, loss._flags, inputs, options)
        report = fill("gradient_report", _core.check_gradient, call)
        report.pop("struct_size")
        report["agrees"] = bool(report["agrees"])
        return report

    # ---- For solvers ----

    def rho(self, squared: Any) -> Rho:
        """rho, rho', rho'' of squared residuals s, a number or an array: rho(s) = 2 loss(sqrt(s)), as least-squares solvers
        take it (scipy.optimize.least_squares: loss=lambda s: numpy.array(this.rho(s)))."""
        data, shape = _arrays.doubles(squared, "squared")
        numbers = _core.numbers_of(self._handle, 0, data, 1)
        size = len(numbers) // 3
        return Rho(*(_arrays.from_doubles(numbers[i * size : (i + 1) * size], shape) for i in range(3)))

    def irls_weight(self, residual: Any) -> Any:
        """The weights of iteratively reweighted least squares, loss'(r)/r of residuals r = pred - target; at 0 the limit
        from above."""
        data, shape = _arrays.doubles(residual, "residual")
        return _arrays.from_doubles(_core.numbers_of(self._handle, 1, data, 1), shape)

    # ---- For boosting and generalized linear models ----

    @property
    def link(self) -> str | None:
        """The function that makes pred of what is predicted on the scale of the target: "identity", "log", "logit",
        "half_logit" or "softmax"; None if there is none."""
        name = _core.link(self._handle)
        return None if name is None else str(name)

    def link_apply(self, mean: Any) -> Any:
        """The link of means, a number or an array: pred. Classes are the last axis."""
        data, shape = _arrays.doubles(mean, "mean")
        return _arrays.from_doubles(_core.numbers_of(self._handle, 2, data, shape[-1] if shape else 1), shape)

    def link_invert(self, pred: Any) -> Any:
        """The inverse link of pred, a number or an array: the probability, the rate. Classes are the last axis."""
        data, shape = _arrays.doubles(pred, "pred")
        return _arrays.from_doubles(_core.numbers_of(self._handle, 3, data, shape[-1] if shape else 1), shape)

    def init_score(self, *inputs: Any, **options: Any) -> Any:
        """The best constant prediction, a float, or an array with a number per class: what boosting starts from. Called as
        the loss is, weight and mask included; of pred only the shape counts."""
        loss = self._bind(options) if options and not self._is_call(options) else self
        found = _core.best_constant((loss._handle, loss._flags, inputs, options))
        rows = _core.unit(loss._handle) == _core.UNIT_ROW
        return _arrays.from_doubles(found, (len(found) // 8,) if rows else ())

    def minimum(self, *inputs: Any, **options: Any) -> Any:
        """The least value that the loss can have for each target, an array: what a perfect prediction costs. Called as the
        loss is; of pred only the shape counts."""
        loss = self._bind(options) if options and not self._is_call(options) else self
        return _core.minimum((loss._handle, loss._flags | _VALUE | _UNREDUCED, inputs, options))

    # ---- What it is ----

    @property
    def name(self) -> str:
        """The loss's name; "sum" for a sum of losses."""
        return str(_core.name(self._handle))

    @property
    def spec(self) -> str:
        """The text that recreates it."""
        return str(self._spec)

    @property
    def inputs(self) -> tuple[str, ...]:
        """The names of the inputs in their order, learnable parameters included."""
        return tuple(_core.input_name(self._handle, i) for i in range(_core.input_count(self._handle)))

    def get(self, key: str) -> Any:
        """A parameter or option: a number, or its text."""
        try:
            return _core.get_double(self._handle, key)
        except ParameterError:
            return read(_core.get_text, self._handle, key)

    def __repr__(self) -> str:
        if self._function is not None:
            return f"<lossfn.custom loss {getattr(self._function[0], '__name__', '')!r}>"
        return f"lossfn.create({self._spec!r})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Loss):
            return NotImplemented
        return self is other or (self._spec == other._spec and self._function == other._function)

    def __hash__(self) -> int:
        return hash(self._spec)

    def __copy__(self) -> Loss:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Loss:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        if self._function is not None:
            from ._register import _restore_custom

            return _restore_custom, self._function
        return create, (self._spec,)

    # ---- Shown to people ----

    def _make_doc(self) -> str:
        from ._catalogue import describe

        try:
            return f"{describe(self.name)}\n\n{_DOC}"
        except NotFoundError:
            return f"{self._spec}\n\n{_DOC}"

    def _make_signature(self) -> inspect.Signature:
        kind = inspect.Parameter
        names = [name for name in self.inputs if name not in self._learnable]
        parameters = [kind(name, kind.POSITIONAL_OR_KEYWORD) for name in names]
        try:
            for i in range(fill("info", _core.describe, self.name)["n_params"]):
                info = fill("param_info", _core.describe_param, self.name, i)
                parameters.append(kind(info["name"], kind.KEYWORD_ONLY, default=self.get(info["name"])))
        except Error:
            pass
        for name in ("weight", "mask"):
            parameters.append(kind(name, kind.KEYWORD_ONLY, default=None))
        parameters.append(kind("reduction", kind.KEYWORD_ONLY, default=self.get("reduction")))
        parameters.append(kind("options", kind.VAR_KEYWORD))
        return inspect.Signature(parameters)

    def _repr_svg_(self) -> str | None:
        from ._plot import plot

        try:
            return plot(self).svg
        except Error:  # no curve for this kind of loss
            return None

    def _repr_html_(self) -> str:
        from ._catalogue import describe

        try:
            head = describe(self.name)._repr_html_()
        except NotFoundError:
            head = ""
        return f"<code>{self._spec}</code>{head}{self._repr_svg_() or ''}"


def create(spec: str | Loss, /, **params: Any) -> Loss:
    """A loss from its name or spec, with parameters: create("huber(delta=1.5)"), create("huber", delta=1.5),
    create("0.7*categorical_cross_entropy - 0.01*entropy"). The grammar is in docs/spec.md."""
    if isinstance(spec, Loss):
        return spec.replace(**params) if params else spec
    return Loss(spec, **params)

# SPDX-License-Identifier: MIT
"""Wrong arguments: which exception, and what it says."""

import warnings

import lossfn
import numpy as np
import pytest

A, B = np.arange(6.0).reshape(3, 2), np.ones((3, 2))
LOGITS, LABELS = np.zeros((4, 3)), np.array([0, 1, 2, 0])

CASES = [
    (lambda: lossfn.create("hubr"), lossfn.NotFoundError, KeyError, "nearest is 'huber'"),
    (lambda: lossfn.create("huber", delt=1), lossfn.NotFoundError, KeyError, "nearest is 'delta'"),
    (lambda: lossfn.create("huber(delta=-1)"), lossfn.ParameterError, ValueError, "delta is -1"),
    (lambda: lossfn.create("huber", delta="wide"), lossfn.ParameterError, ValueError, "delta"),
    (lambda: lossfn.create("huber", delta=object()), lossfn.ParameterError, ValueError, "delta is a object"),
    (lambda: lossfn.create("huber(delta="), lossfn.SpecError, ValueError, "column 13"),
    (lambda: lossfn.mse(A, B, reduction="average"), lossfn.ParameterError, ValueError, "reduction"),
    (lambda: lossfn.create(3), TypeError, TypeError, "a loss is named by a str, not by a int"),
    (lambda: lossfn.huber(delta=1), lossfn.ArgumentError, ValueError, "huber needs data: its first input is pred"),
    (lambda: lossfn.mse(A), lossfn.ArgumentError, ValueError, "target"),
    (lambda: lossfn.mse(A, None), lossfn.ArgumentError, ValueError, "input target is missing"),
    (lambda: lossfn.gaussian_nll(A, B), lossfn.ArgumentError, ValueError, "input var is missing"),
    (
        lambda: lossfn.mse([1.0, 2.0], [1.0, 2.0], weight=[1.0, 2.0, 3.0]),
        lossfn.ShapeError,
        ValueError,
        r"weight has shape \(3,\), pred has shape \(2,\); use \(2,\) or a scalar",
    ),
    *(
        (
            lambda base=base: lossfn.cross_entropy(LOGITS, LABELS, label_base=base),
            lossfn.LabelError,
            ValueError,
            f"labels are {base} to {base + 2} ",
        )
        for base in (2**63 - 1, -(2**63), -1, 1)
    ),
    (
        lambda: lossfn.mse([1.0], [2.0], weigth=[3.0]),
        lossfn.NotFoundError,
        KeyError,
        "nearest is 'weight', an argument of the call",
    ),
    (lambda: lossfn.mse(A, B, grad_out=A.copy()), lossfn.ArgumentError, ValueError, "grad_out is given, but this call"),
    (lambda: lossfn.mse(A, B, wrt="pred"), lossfn.ArgumentError, ValueError, "wrt is given, but this call computes no"),
    (lambda: lossfn.mse.grad(A, B, hess_out=A.copy()), lossfn.ArgumentError, ValueError, "computes no Hessian"),
    (lambda: lossfn.mse.hess(A, B, vector=A), lossfn.ArgumentError, ValueError, "no product with the Hessian"),
    (lambda: lossfn.entropy(A, B), lossfn.ArgumentError, ValueError, "entropy has 1 input, 2 were given"),
    (lambda: lossfn.mse(A, B, reduction=None), lossfn.ParameterError, ValueError, "reduction is None; that of no red"),
    (lambda: lossfn.create("reg:tweedie"), lossfn.NotFoundError, KeyError, r"see tweedie_nll \(XGBoost: reg:tweedie"),
    (lambda: lossfn.create("CauchyLoss"), lossfn.NotFoundError, KeyError, r"see cauchy \(Ceres: CauchyLoss: "),
    (lambda: lossfn.create("KLDivLoss"), lossfn.NotFoundError, KeyError, r"see kl_div \(PyTorch: KLDivLoss: log_pred"),
    (lambda: lossfn.mse(A, B, A), lossfn.ArgumentError, ValueError, "mse has 2 inputs, 3 were given"),
    (lambda: lossfn.mse(A, B, pred=A), lossfn.ArgumentError, ValueError, "pred is given twice"),
    (lambda: lossfn.mse(A, B[:2]), lossfn.ShapeError, ValueError, r"\(2, 2\) and \(3, 2\)"),
    (lambda: lossfn.mse(A[:, :1], A[:, 0]), lossfn.ShapeError, ValueError, "reshape|shape"),
    (lambda: lossfn.mse(A, B, weight=np.ones(7)), lossfn.ShapeError, ValueError, "weight has shape"),
    (lambda: lossfn.mse(A, B, mask=np.ones((2, 2))), lossfn.ShapeError, ValueError, "mask has shape"),
    (lambda: lossfn.mse(A, B, upstream=np.ones(7)), lossfn.ShapeError, ValueError, "upstream"),
    (lambda: lossfn.mse(A, B, denominator="x"), TypeError, TypeError, "denominator is a str; a number"),
    (lambda: lossfn.mse(A, B, denominator=10**400), TypeError, TypeError, "denominator is a int; a number of"),
    (lambda: lossfn.mse(A, B, threads=1000), lossfn.ArgumentError, ValueError, "threads is 1000"),
    (lambda: lossfn.mse(A, B, threads=-(10**30)), lossfn.ArgumentError, ValueError, "threads is -10000000000"),
    (lambda: lossfn.mse(A, B, threads="x"), TypeError, TypeError, "threads is a str; an integer"),
    (lambda: lossfn.mse(A, B, threads=1.5), TypeError, TypeError, "threads is a float; an integer"),
    (lambda: lossfn.mse.grad(A, B, wrt=3), TypeError, TypeError, "wrt is a int; the name of an input"),
    (lambda: lossfn.mse.grad(A, B, wrt=["pred", 3]), TypeError, TypeError, "a name in wrt is a int; a str"),
    (lambda: lossfn.mse.hess(A, B, hess_kind=2), TypeError, TypeError, "hess_kind is a int; a str"),
    (lambda: lossfn.mse(10**400, 1.0), lossfn.DTypeError, TypeError, "pred is an int beyond the range"),
    (lambda: lossfn.mse(A, B, cached=np.zeros(2)), ValueError, ValueError, "ambiguous"),
    (lambda: lossfn.mse.hess(A, B, hess_kind="best"), lossfn.ArgumentError, ValueError, "hess_kind is 'best'"),
    (lambda: lossfn.mse.hvp(A, B), lossfn.ArgumentError, ValueError, "hvp needs vector="),
    (lambda: lossfn.cross_entropy(LOGITS, LABELS + 1), lossfn.LabelError, ValueError, r"target\[2\] is 3"),
    (lambda: lossfn.cross_entropy(LOGITS, LABELS - 100), lossfn.LabelError, ValueError, "ignore_index"),
    (
        lambda: lossfn.cross_entropy(LOGITS, LABELS + (2**53 + 1)),
        lossfn.LabelError,
        ValueError,
        r"target\[0\] is 9007199254740993,",
    ),
    (
        lambda: lossfn.cross_entropy(LOGITS, np.full(4, 2**64 - 1, np.uint64)),
        lossfn.LabelError,
        ValueError,
        r"target\[0\] is 18446744073709551615,",
    ),
    (
        lambda: lossfn.create("mse - huber").hess(A, B, hess_kind="upper"),
        lossfn.UnsupportedError,
        NotImplementedError,
        "huber has the coefficient -1: times a negative number its Hessian of kind upper is none",
    ),
    (lambda: lossfn.cross_entropy(LOGITS, LABELS, from_logits=True), lossfn.NotFoundError, KeyError, "takes logits"),
    (lambda: lossfn.cross_entropy(LOGITS, LABELS, weight=[1, 2, 3]), lossfn.ShapeError, ValueError, "weight"),
    (
        lambda: lossfn.binary_cross_entropy([0.5, 1.5], [0, 1], domain="error"),
        lossfn.DomainError,
        ValueError,
        "element 1 is outside the domain: pred is 1.5",
    ),
    (lambda: lossfn.create("cross_entropy(class_weight=[1, -2])"), lossfn.ParameterError, ValueError, "class_weight"),
    (lambda: lossfn.set_num_threads(-1), lossfn.ArgumentError, ValueError, "-1"),
    (
        lambda: lossfn.create("multi_margin", power=3),
        lossfn.ParameterError,
        ValueError,
        "power is 3, must be one of: 1, 2",
    ),
    (
        lambda: lossfn.create("huber", delta=10**400),
        lossfn.ParameterError,
        ValueError,
        "delta is an integer of more than",
    ),
    (
        lambda: lossfn.create("cross_entropy", ignore_index=2**63),
        lossfn.ParameterError,
        ValueError,
        "ignore_index is an",
    ),
    (lambda: lossfn.register("a.b\0c", abs), lossfn.SpecError, ValueError, "name: a zero byte at column 4"),
    (lambda: lossfn.unregister("a.b\0c"), lossfn.SpecError, ValueError, "name: a zero byte at column 4"),
    (lambda: lossfn.unregister(3), TypeError, TypeError, "a loss is named by a str, not by a int"),
    (lambda: lossfn.register(None, abs), TypeError, TypeError, "a loss is named by a str, not by a NoneType"),
    (lambda: lossfn.create("mse\0x"), lossfn.SpecError, ValueError, "spec: a zero byte at column 4"),
    (
        lambda: lossfn.create("mse", reduction="su\0m"),
        lossfn.SpecError,
        ValueError,
        "reduction: a zero byte at column 3",
    ),
    *(
        (lambda make=make, weight=weight: make(weight), lossfn.ParameterError, ValueError, text)
        for weight, text in [
            ({0: 5.0, 1: 1.0}, "class_weight is a dict"),
            ({1.0, 2.0}, "class_weight is a set"),
            ([1, "a"], r"class_weight\[1\] is 'a'"),
            ([[1, 2], [3, 4]], r"class_weight\[0\] is \[1, 2\]"),
            (np.ones((2, 3)), r"class_weight has shape \(2, 3\)"),
            ("[1,,2]", r"class_weight is '\[1,,2\]', must be a list"),
            ("[1 2]", "class_weight is"),
            ("[,1]", "class_weight is"),
            ("[1,2,]", "class_weight is"),
        ]
        for make in (
            lambda weight: lossfn.create("cross_entropy", class_weight=weight),
            lambda weight: lossfn.cross_entropy(LOGITS, LABELS, class_weight=weight),
            lambda weight: lossfn.cross_entropy.replace(class_weight=weight),
        )
    ),
]


@pytest.mark.parametrize("case", range(len(CASES)))
def test_message(case):
    call, error, builtin, text = CASES[case]
    with pytest.raises(error, match=text) as caught:
        call()
    assert isinstance(caught.value, builtin)
    assert "\n" not in str(caught.value)
    if isinstance(caught.value, lossfn.Error):
        assert caught.value.code < 0


def test_what_an_object_raises_arrives():
    class Interrupted:
        def __float__(self):
            raise KeyboardInterrupt

        __index__ = __float__

    for option in ("denominator", "threads"):
        with pytest.raises(KeyboardInterrupt):
            lossfn.mse(A, B, **{option: Interrupted()})


def test_one_exception_per_status():
    from lossfn import _core, _errors

    for i, error in enumerate(_errors.BY_STATUS[1:], 1):
        assert error.code == -i and _core.status_name(-i) != "unknown status"
    assert _core.status_name(-len(_errors.BY_STATUS)) == "unknown status"


def test_nothing_is_written_by_a_failure():
    out = np.full((3, 2), 7.0)
    with pytest.raises(lossfn.ShapeError):
        lossfn.mse.grad(A, B[:2], grad_out=out)
    labels = LABELS.copy()
    labels[3] = 9
    grad = np.full((4, 3), 7.0)
    with pytest.raises(lossfn.LabelError):
        lossfn.cross_entropy.grad(LOGITS, labels, grad_out=grad)
    assert (out == 7).all() and (grad == 7).all()


def test_domain_warning():
    with pytest.warns(lossfn.DomainWarning, match=r"binary_cross_entropy: a value at index \[1, 0\]") as caught:
        value = lossfn.binary_cross_entropy(np.array([[0.5], [1.5]]), np.ones((2, 1)))
    assert np.isnan(value)
    assert caught[0].filename == __file__, "the warning points at the caller"
    loss = lossfn.create("binary_cross_entropy")
    for verb in (loss.value, loss.grad, loss.hess, loss.value_and_grad, loss.value_grad_hess):
        with pytest.warns(lossfn.DomainWarning) as caught:
            verb([1.5], [1.0])
        assert caught[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(lossfn.DomainWarning):
            lossfn.binary_cross_entropy([1.5], [1.0])
        lossfn.binary_cross_entropy([1.5, 0.5], [1.0, 1.0], mask=[False, True])
        assert np.isnan(lossfn.mse([], [])), "the mean of nothing is NaN and needs no warning"


def test_core_refuses_nonsense():
    from lossfn import _core

    handle = lossfn.mse._handle
    for call in (None, (), (handle,), (None, 1, (), None), (handle, 1, [], None), (1, 1, (), {})):
        with pytest.raises(TypeError, match=r"a call is \(handle, want, inputs, options\)"):
            _core.run(call)
    with pytest.raises(lossfn.ArgumentError, match="NULL"):
        _core.accumulator_update(None, (handle, 0, (A, B), None))
    with pytest.raises(TypeError):
        _core.accumulator_update(handle, (handle, 0, (A, B), None))
    with pytest.raises(TypeError):
        _core.accumulator_update(handle)
    with pytest.raises(TypeError):
        _core.check((handle, 0, (A, B), None))


def test_exceptions_pickle():
    import pickle

    with pytest.raises(lossfn.ShapeError) as caught:
        lossfn.mse(A, B[:2])
    again = pickle.loads(pickle.dumps(caught.value))
    assert type(again) is lossfn.ShapeError and str(again) == str(caught.value)

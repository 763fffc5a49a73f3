# SPDX-License-Identifier: MIT
"""Losses written in Python."""

import copy
import gc
import pickle
import sys
import traceback
import weakref

import lossfn
import numpy as np
import pytest


def square(pred, target, *, k=1.0):
    """Scaled square."""
    d = pred - target
    return k * d * d, 2 * k * d, np.full(d.shape, 2 * k)


@pytest.fixture
def registered():
    lossfn.register("test.square", square, formula="k r^2")
    yield lossfn.create("test.square")
    lossfn.unregister("test.square")


def test_same_rights(registered, rng):
    pred, target = rng.normal(size=(2, 700, 3)).astype(np.float32)
    pred[5, 1] = np.nan
    mask = np.isfinite(pred)
    w = rng.random((700, 1))
    for reduction in ("mean", "sum", "none", "mean_units", "per_row"):
        got = registered.value_grad_hess(pred, target, weight=w, mask=mask, reduction=reduction)
        expected = lossfn.mse.value_grad_hess(pred, target, weight=w, mask=mask, reduction=reduction)
        for a, b in zip(got, expected):
            np.testing.assert_allclose(a, b, rtol=1e-6)
    assert registered.check_gradient([1.0, 2.0], [3.0, 1.0])["agrees"]
    assert registered(pred, target, mask=mask, k=3.0) == pytest.approx(3 * registered(pred, target, mask=mask))


def test_described(registered):
    assert "test.square" in lossfn.names()
    description = lossfn.describe("test.square")
    assert description.summary == "Scaled square." and description.formula == "k r^2"
    assert [param.name for param in description.params] == ["k"]
    assert pickle.loads(pickle.dumps(registered)) == registered
    with pytest.raises(lossfn.ExistsError):
        lossfn.register("test.square", square)


def test_decorator():
    @lossfn.register("test.decorated")
    def fn(pred, target):
        return np.abs(pred - target), np.sign(pred - target)

    assert fn(1.0, 2.0)[0] == 1.0
    assert lossfn.create("test.decorated")([1.0], [3.0]) == 2
    lossfn.unregister("test.decorated")
    with pytest.raises(lossfn.NotFoundError):
        lossfn.create("test.decorated")


def test_parameters():
    seen = []

    def fn(pred, target, n=2, strict=True, *, scale=0.5):
        seen.append((n, strict, scale))
        return pred * 0, pred * 0

    lossfn.custom(fn)([1.0], [1.0])
    lossfn.custom(fn, n=3, strict=False, scale=2)([1.0], [1.0])
    lossfn.custom(fn)([1.0], [1.0], n=4)
    assert seen == [(2, True, 0.5), (3, False, 2.0), (4, True, 0.5)]
    assert [type(x) for x in seen[0]] == [int, bool, float]
    with pytest.raises(lossfn.NotFoundError, match="scale"):
        lossfn.custom(fn, scal=1.0)
    with pytest.raises(lossfn.ArgumentError, match="the default of x is 'a'"):
        lossfn.custom(lambda pred, target, x="a": pred)
    with pytest.raises(lossfn.ArgumentError, match="int is not callable"):
        lossfn.custom(3)


def test_parameters_with_defaults_of_numpy():
    seen = []
    half, quarter, three = np.float64(0.5), np.float32(0.25), np.int64(3)

    def fn(pred, target, a=half, b=quarter, n=three, strict=np.True_):
        seen.append((a, b, n, strict))
        return pred * 0, pred * 0

    lossfn.custom(fn)([1.0], [1.0])
    lossfn.custom(fn, strict=np.False_)([1.0], [1.0])
    assert seen == [(0.5, 0.25, 3, True), (0.5, 0.25, 3, False)]
    assert [type(x) for x in seen[0]] == [float, float, int, bool]


@pytest.mark.parametrize("word", ["cached", "threads", "vector", "grad_out", "hess_out", "out", "wrt", "weight"])
def test_words_of_a_call_are_reserved(word):
    with pytest.raises(lossfn.ParameterError, match=f"'{word}' is reserved"):
        lossfn.custom(eval(f"lambda pred, target, {word}=1.0: pred"))
    with pytest.raises(lossfn.ArgumentError, match=f"named '{word}', an argument of every call"):
        lossfn.custom(eval(f"lambda {word}, target: target"))


def test_inputs_by_their_own_names():
    loss = lossfn.custom(lambda y_true, y_pred: (y_pred - 2 * y_true, y_pred * 0 - 2))
    assert loss(y_true=[1.0], y_pred=[5.0]) == loss(y_pred=[5.0], y_true=[1.0]) == loss([1.0], [5.0]) == 3


def test_more_inputs():
    def fn(pred, target, var):
        d = pred - target
        return d * d / var, (2 * d / var, None, -d * d / var**2)

    loss = lossfn.custom(fn, hess=False)
    assert loss.inputs == ("pred", "target", "var")
    g = loss.grad([3.0], [1.0], [2.0], reduction="sum")
    assert g.pred[0] == 2 and g.var[0] == -1
    assert loss.check_gradient([3.0, 1.0], [1.0, 0.0], [2.0, 1.5])["agrees"]
    swapped = lossfn.custom(lambda pred, target: (pred - target, (pred * 0 + 1, pred * 0 - 1)), wrt=("pred", "target"))
    assert swapped.grad([1.0], [2.0], wrt="target").tolist() == [-1]
    alone = lossfn.custom(lambda p, t: (p - t, (None, p * 0 - 1)), wrt="t")
    assert alone.grad([1.0], [2.0], wrt="t").tolist() == [-1]
    with pytest.raises(lossfn.ArgumentError, match="wrt names 'pt'; the inputs are p, t"):
        lossfn.custom(lambda p, t: p, wrt="pt")


def test_rows(rng):
    logits, labels = rng.normal(size=(300, 4)), rng.integers(0, 4, 300)

    def softmax(logits):
        e = np.exp(logits - logits.max(1, keepdims=True))
        return e / e.sum(1, keepdims=True)

    def one_hot(pred, target):
        p = softmax(pred)
        return -(target * np.log(p)).sum(1), p - target

    def numbered(pred, target):
        assert target.dtype == np.int64
        p, rows = softmax(pred), np.arange(len(pred))
        grad = p.copy()
        grad[rows, target] -= 1
        return -np.log(p[rows, target]), grad

    expected = lossfn.cross_entropy.value_and_grad(logits, labels)
    for loss in (lossfn.custom(one_hot, rows=True), lossfn.custom(numbered, labels=True)):
        value, grad = loss.value_and_grad(logits, labels)
        assert value == pytest.approx(expected[0], rel=1e-13)
        np.testing.assert_allclose(grad, expected[1], rtol=1e-9, atol=1e-15)
    with pytest.raises(lossfn.ShapeError, match=r"target has shape \(2, 3\); custom takes labels, of shape \(2,\)"):
        lossfn.custom(numbered, labels=True)(logits[:2, :3], np.full((2, 3), 1 / 3))


def test_rows_without_a_target(rng):
    """Beside a term that has one, a distribution or labels."""
    logits, labels = rng.normal(size=(6, 4)), rng.integers(0, 4, 6)
    lossfn.register("test.square", lambda pred: ((pred**2).sum(1), 2 * pred), rows=True)
    both = lossfn.create("cross_entropy + 0.5*test.square")
    expected = lossfn.cross_entropy(logits, labels) + 0.5 * (logits**2).sum(1).mean()
    for target in (labels, np.eye(4)[labels]):
        assert both(logits, target) == pytest.approx(expected, rel=1e-15)
    lossfn.unregister("test.square")


def test_exception_arrives_as_itself():
    class Mine(Exception):
        pass

    error = Mine("from inside")

    def fn(pred, target):
        raise error

    for pred in (np.zeros(3), np.zeros(10000)):  # with the GIL held, and released
        with pytest.raises(Mine) as caught:
            lossfn.custom(fn)(pred, pred)
        assert caught.value is error
        assert "in fn" in "".join(traceback.format_exception(error))
        error.__traceback__ = None
    acc = lossfn.Accumulator(lossfn.custom(fn))
    with pytest.raises(Mine):
        acc.update(np.zeros(3), np.zeros(3))
    assert lossfn.mse([1.0], [2.0]) == 1


def test_exit_and_interrupt_pass():
    def fn(pred, target):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        lossfn.custom(fn)([1.0], [1.0])


@pytest.mark.parametrize(
    ("returned", "error", "text"),
    [
        (lambda p: (p[:-1], p), lossfn.ShapeError, "custom loss: the value that the function returned"),
        (lambda p: (p, p[:-1]), lossfn.ShapeError, "custom loss: the gradient"),
        (lambda p: (p.sum(), p), lossfn.ShapeError, "has 0 dimensions"),
        (lambda p: (p[:, None], p), lossfn.ShapeError, "has 2 dimensions"),
        (lambda p: (p + 1j, p), lossfn.DTypeError, "complex128"),
        (lambda p: ("text", p), lossfn.DTypeError, "from a str"),
        (lambda p: (None, p), lossfn.UnsupportedError, "the function returned no value"),
        (lambda p: p, lossfn.UnsupportedError, "the function returned no gradient"),
        (lambda p: (p, None), lossfn.UnsupportedError, "the function returned no gradient"),
        (lambda p: None, lossfn.UnsupportedError, "the function returned no value"),
    ],
)
def test_wrong_results(returned, error, text):
    with pytest.raises(error, match=text):
        lossfn.custom(lambda pred, target: returned(pred)).value_and_grad(np.ones(5), np.zeros(5))


def test_other_results():
    forms = [lambda x: x.astype(np.float32), list, lambda x: x.astype(np.int64), lambda x: np.repeat(x, 2)[::2]]
    for form in forms:
        loss = lossfn.custom(lambda pred, target, form=1: (forms[form](pred), pred), form=forms.index(form))
        assert loss([1.0, 2.0, 3.0], [0.0, 0.0, 0.0]) == 2.0
    no_hessian = lossfn.custom(lambda pred, target: (pred, pred))
    with pytest.raises(lossfn.UnsupportedError, match="no Hessian"):
        no_hessian.hess([1.0], [1.0])
    report = lossfn.custom(lambda pred, target: square(pred, target)[:2]).check_gradient([1.0, 2.0], [3.0, 5.0])
    assert report["agrees"] and report["compared"] == 2, "what there is, is checked"
    with pytest.raises(lossfn.UnsupportedError):
        lossfn.custom(square, hess=False).hess([1.0], [1.0])


def test_kept_arrays_stay_valid():
    kept = []

    def fn(pred, target):
        kept.append((pred, target))
        return pred * 0, pred

    pred = np.arange(5000.0)
    lossfn.custom(fn)(pred, pred + 1)
    np.testing.assert_array_equal(np.concatenate([p for p, _ in kept]), pred)
    np.testing.assert_array_equal(np.concatenate([t for _, t in kept]), pred + 1)


def test_recursion_and_unregistering_in_use():
    def fn(pred, target):
        value = lossfn.mse(pred, target, reduction="none")
        if "test.fleeting" in lossfn.names():
            lossfn.unregister("test.fleeting")
        return value, lossfn.mse.grad(pred, target, reduction="sum")

    loss = lossfn.register("test.fleeting", fn)
    pred, target = np.arange(3000.0), np.zeros(3000)
    assert loss(pred, target) == lossfn.mse(pred, target)
    assert loss(pred, target) == lossfn.mse(pred, target)  # an old handle goes on working
    with pytest.raises(lossfn.NotFoundError):
        lossfn.create("test.fleeting")
    with pytest.raises(lossfn.NotFoundError):
        lossfn.unregister("test.fleeting")


def test_recursion_without_end():
    """It ends before the stack does."""
    loss = lossfn.custom(lambda pred, target: (loss(pred, target, reduction="none"), pred))
    with pytest.raises(RecursionError, match="20 deep"):
        loss([1.0], [1.0])
    turns = iter(range(15))
    loss = lossfn.custom(lambda pred, target: (pred if next(turns) == 14 else loss(pred, target) + 0 * pred, pred))
    assert loss([3.0], [1.0]) == 3


def test_lifetime():
    class Function:
        def __call__(self, pred, target):
            return pred, pred

    fn = Function()
    seen = weakref.ref(fn)
    loss = lossfn.custom(fn)
    del fn
    gc.collect()
    assert loss([1.0], [1.0]) == 1
    del loss
    gc.collect()
    assert seen() is None
    fn = Function()
    seen = weakref.ref(fn)
    with pytest.raises(lossfn.ArgumentError):
        lossfn.register("nodot", fn)
    del fn
    gc.collect()
    assert seen() is None, "a failed registration lets go of the function"


def test_custom_is_an_object():
    loss = lossfn.custom(square, k=2.0)
    assert copy.deepcopy(loss) is loss
    again = pickle.loads(pickle.dumps(loss))
    assert again == loss and hash(again) == hash(loss)
    assert again([1.0], [0.0]) == 2
    assert loss != lossfn.custom(lambda pred, target: pred)
    assert "square" in repr(loss)
    with pytest.raises((pickle.PicklingError, AttributeError)):
        pickle.dumps(lossfn.custom(lambda pred, target: pred))


def test_no_leak():
    loss = lossfn.custom(square)
    pred = np.zeros(3)
    loss.value_grad_hess(pred, pred)
    before = sys.getrefcount(square), sys.getrefcount(pred)
    for _ in range(200):
        loss.value_grad_hess(pred, pred)
        lossfn.custom(square)
    gc.collect()
    after = sys.getrefcount(square), sys.getrefcount(pred)
    assert max(abs(a - b) for a, b in zip(before, after)) <= 2

# SPDX-License-Identifier: MIT
"""Losses, descriptions, accumulators and drawings as Python objects."""

import copy
import inspect
import pickle
import random
import re
import weakref
import xml.etree.ElementTree as ET

import lossfn
import numpy as np
import pytest

SPECS = ["mse", "huber(delta=1.5)", "cross_entropy(label_smoothing=0.1, ignore_index=-100)", "0.7*mse - 0.01*mae"]


@pytest.mark.parametrize("spec", SPECS)
def test_identity(spec):
    loss = lossfn.create(spec)
    again = lossfn.create(loss.spec)
    assert loss == again and hash(loss) == hash(again) and loss.spec == again.spec
    assert pickle.loads(pickle.dumps(loss)) == loss
    assert copy.copy(loss) is loss and copy.deepcopy({"a": loss})["a"] is loss
    assert eval(repr(loss), {"lossfn": lossfn}) == loss
    assert loss != lossfn.create("mae") and loss != spec
    assert weakref.ref(loss)() is loss
    assert lossfn.create(loss) is loss


def test_attributes():
    for name in lossfn.names():
        loss = getattr(lossfn, name)
        assert loss is getattr(lossfn, name) and loss.name == name
        assert name in dir(lossfn)
    assert lossfn.huber.inputs == ("pred", "target")
    assert lossfn.create("huber", delta=2).get("delta") == 2
    assert lossfn.mse.get("reduction") == "mean"
    for missing in ("hubr", "_private", "__wrapped__"):
        assert not hasattr(lossfn, missing)
    with pytest.raises(AttributeError, match="nearest is 'huber'"):
        _ = lossfn.hubr


def test_parameters_by_call():
    pred, target = np.array([0.0, 3.0]), np.zeros(2)
    assert lossfn.huber(pred, target, delta=2) == lossfn.create("huber(delta=2)")(pred, target)
    assert lossfn.huber(pred, target, delta=None) == lossfn.huber(pred, target)
    logits, labels = np.eye(3), np.arange(3)
    expected = lossfn.create("cross_entropy(class_weight=[1, 2, 0.5])")(logits, labels)
    for weights in ([1, 2, 0.5], (1, 2, 0.5), np.array([1, 2, 0.5])):
        assert lossfn.cross_entropy(logits, labels, class_weight=weights) == expected
    for delta in np.linspace(1, 2, 1000):
        lossfn.huber(pred, target, delta=delta)
    assert len(lossfn.huber._bound) <= 256


def test_help():
    assert "quadratic" in inspect.getdoc(lossfn.huber).lower() and "delta" in inspect.getdoc(lossfn.huber)
    assert "sample_weight" in inspect.getdoc(lossfn.Loss)
    signature = inspect.signature(lossfn.huber)
    assert list(signature.parameters)[:3] == ["pred", "target", "delta"]
    assert signature.parameters["delta"].default == 1.0
    for name in lossfn.names():
        inspect.signature(getattr(lossfn, name))


def test_descriptions():
    for name in lossfn.names():
        description = lossfn.describe(name)
        assert description.name == name and description.summary and description.formula and description.latex
        assert description.inputs[0].name == "pred" and description.unit in ("element", "row")
        assert "exact" in description.hessians or not description.hessians or name
        assert name in str(description) and name in description._repr_html_()
        assert {option.name for option in description.options} >= {"reduction", "axis", "ignore_index"}
    huber = lossfn.describe("huber")
    assert huber.params[0].bounds == "(0, inf]" and huber.params[0].default == "1"
    assert "convex" in huber.traits and huber.lipschitz == 1
    with pytest.raises(lossfn.NotFoundError, match="huber"):
        lossfn.describe("hubr")


def test_tasks_and_recommendations():
    for task in lossfn.tasks():
        lossfn.names(task=task)
        for answer in lossfn.recommend(task, outliers=True, imbalanced=True, noisy_labels=True):
            assert answer.why and str(answer).startswith(answer.spec)
    with pytest.raises(lossfn.ArgumentError, match="unknown task 'cooking'; there are regression, "):
        lossfn.names(task="cooking")
    with pytest.raises(lossfn.ArgumentError, match="unknown task"):
        lossfn.recommend("cooking")


def test_components():
    loss = lossfn.create("2*mse + 0.5*mae")
    pred, target = np.array([1.0, 3.0]), np.zeros(2)
    parts = loss.components(pred, target)
    assert [(p.name, p.coefficient, p.value) for p in parts] == [("mse", 2, 5), ("mae", 0.5, 2)]
    assert loss(pred, target) == 11


def test_accumulator_over_any_split(rng):
    pred, target = rng.normal(size=(2, 1000)) * 10.0 ** rng.integers(-8, 8, (2, 1000))
    w = rng.random(1000)
    whole = lossfn.huber(pred, target, weight=w, delta=2)
    cuts = sorted(random.Random(1).sample(range(1, 1000), 7))
    parts = []
    for a, b in zip([0, *cuts], [*cuts, 1000]):
        part = lossfn.Accumulator("huber", delta=2)
        part.update(pred[a:b], target[a:b], weight=w[a:b])
        parts.append(pickle.loads(pickle.dumps(part)))
    random.Random(2).shuffle(parts)
    for part in parts[1:]:
        parts[0].merge(part)
    assert parts[0].value() == whole
    assert "huber(delta=2)" in repr(parts[0])
    before = parts[0].sum
    parts[0].merge(parts[0])
    assert parts[0].sum == pytest.approx(2 * before)
    parts[0].reset()
    assert np.isnan(parts[0].value()) and parts[0].denominator == 0


def test_accumulator_of_any_buffer():
    made = lossfn.Accumulator("huber", delta=2)
    made.update([1.0], [3.0])
    data = made.to_bytes()
    padded = data + bytes(-len(data) % 4)
    for same in (bytearray(data), memoryview(data), np.frombuffer(data, np.uint8), memoryview(padded)[: len(data)]):
        read = lossfn.Accumulator.from_bytes(same)
        assert read.value() == made.value() and read.loss == made.loss
    with pytest.raises(lossfn.ArgumentError, match=r"\(huber and huber\(delta=2\)\)"):
        lossfn.Accumulator("huber").merge(made)


def test_accumulator_errors():
    acc = lossfn.Accumulator("mse")
    with pytest.raises(lossfn.ShapeError):
        acc.update([1.0], [1.0, 2.0])
    with pytest.raises(lossfn.ArgumentError, match="no input or keyword 'delta'"):
        acc.update([1.0], [1.0], delta=2)
    assert acc.denominator == 0
    with pytest.raises(lossfn.Error, match="mae"):
        acc.merge(lossfn.Accumulator("mae"))
    with pytest.raises(lossfn.ArgumentError, match="not a int"):
        acc.merge(1)
    with pytest.raises(lossfn.Error):
        lossfn.Accumulator.from_bytes(b"nothing")
    with pytest.raises(lossfn.Error):
        lossfn.Accumulator("mse", reduction="none")


@pytest.mark.parametrize("name", lossfn.names())
def test_drawing(name, tmp_path):
    drawing = lossfn.plot(name)
    root = ET.fromstring(drawing.svg)
    assert root.tag.endswith("svg")
    assert not re.search(r"\b(nan|inf)\b", drawing.svg)
    assert set(drawing.panels) <= {"value", "gradient", "Hessian"} and "gradient" in drawing.panels
    drawing.save(tmp_path / "curve.svg")
    assert (tmp_path / "curve.svg").read_text(encoding="utf-8") == drawing._repr_svg_()
    assert "<svg" in getattr(lossfn, name)._repr_html_()


def test_drawing_of_several():
    drawing = lossfn.plot("huber", lossfn.create("mae"), "quantile(tau=0.9)")
    assert [curve.label for curve in drawing.panels["value"]] == ["huber", "mae", "quantile(tau=0.9)"]
    curve = drawing.panels["value"][0]
    assert curve.y[0] == pytest.approx(2.5) and curve.x[0] == -3  # huber at a residual of -3
    assert "huber, mae" in repr(drawing)
    with pytest.raises(lossfn.ArgumentError):
        lossfn.plot()


def test_paths():
    from pathlib import Path

    assert Path(lossfn.get_library()).is_file()
    assert (Path(lossfn.get_include()) / "lossfn" / "lossfn.h").is_file()
    assert lossfn.__version__.count(".") == 2


def test_for_boosting():
    """Best constants, links and least values; errors name what is wrong."""
    shape = np.zeros(4)
    assert lossfn.mae.init_score(shape, [1.0, 2, 5, 9]) == 3.5
    assert lossfn.mse.init_score(shape, [1.0, 2, 5, 9], weight=[1, 1, 0, 0]) == 1.5
    assert lossfn.mse.init_score(shape, [1.0, 2, 5, 9], mask=[True, True, False, False]) == 1.5
    scores = lossfn.cross_entropy.init_score(np.zeros((4, 3)), [0, 1, 2, 2])
    np.testing.assert_allclose(scores - scores[0], [0, 0, np.log(2)], atol=1e-12)
    links = [lossfn.create(s).link for s in ("mse", "bce_with_logits", "poisson_nll", "cross_entropy", "sparsemax")]
    assert links == ["identity", "logit", "log", "softmax", None]
    assert lossfn.bce_with_logits.link_invert(0.0) == 0.5 and lossfn.bce_with_logits.link_apply(0.5) == 0
    means = lossfn.cross_entropy.link_invert([[0.0, 0], [1, 2]])
    assert means.shape == (2, 2) and means[0].tolist() == [0.5, 0.5]
    assert lossfn.bce_with_logits.minimum(shape, [0.5, 1, 0, 1]).tolist() == [np.log(2), 0, 0, 0]
    with pytest.raises(lossfn.UnsupportedError, match="sparsemax has no link"):
        lossfn.sparsemax.link_apply(1.0)
    with pytest.raises(lossfn.ShapeError, match="target has 2 rows, pred has 4"):
        lossfn.mse.init_score(shape, [1.0, 2])
    with pytest.raises(lossfn.UnsupportedError, match="over rows"):
        lossfn.cross_entropy.minimum(np.zeros((4, 3)), [0, 1, 2, 2])


def test_for_solvers():
    """rho and IRLS weights of numbers, lists and arrays; errors for losses that have none."""
    loss = lossfn.create("3*huber(delta=1)")
    assert loss.rho(4.0) == (9.0, 1.5, -0.1875) and loss.rho(4).first == 1.5
    squared = np.array([[0.0, 0.25, 4.0], [9.0, 1.0, 2.0]])
    rho = loss.rho(squared)
    assert all(part.shape == (2, 3) and part.dtype == np.float64 for part in rho)
    assert [part[0, 2] for part in rho] == [9.0, 1.5, -0.1875]
    assert loss.rho([4.0, 0.0]).rho.tolist() == [9, 0]
    assert loss.rho(np.float32([4, 0])[::-1]).rho.tolist() == [0, 9]
    assert loss.irls_weight(-2.0) == 1.5
    residual = np.linspace(-3, 3, 11)
    np.testing.assert_array_equal(loss.irls_weight(residual), 3 / np.maximum(np.abs(residual), 1))
    assert lossfn.quantile.irls_weight([2.0, -2.0]).tolist() == [0.25, 0.25]
    assert lossfn.tukey.irls_weight(residual).shape == residual.shape
    with pytest.raises(lossfn.UnsupportedError, match="squared residual"):
        lossfn.quantile.rho(1.0)
    with pytest.raises(lossfn.UnsupportedError, match="no function of one residual"):
        lossfn.bce_with_logits.irls_weight(1.0)
    with pytest.raises(lossfn.ShapeError, match="squared"):
        loss.rho("four")


def test_parameters_of_a_call_go_before_those_of_the_loss():
    loss = lossfn.create("huber", delta=1.5, reduction="sum")
    pred, target = [1.0, 2.0], [0.0, 5.0]
    assert loss(pred, target) == 3.875
    assert list(loss(pred, target, reduction="none")) == [0.5, 3.375]
    assert loss(pred, target, delta=100.0) == 5
    assert repr(loss.replace(delta=100.0)) == "lossfn.create('huber(delta=100, reduction=sum)')"
    assert loss.replace(delta=None, reduction=None) == lossfn.create("huber")
    weighted = lossfn.create("cross_entropy(class_weight=[1,2,0.5], label_smoothing=0.25)")
    assert weighted.replace(class_weight=[1, 1, 1]).spec == "cross_entropy(class_weight=[1,1,1], label_smoothing=0.25)"
    assert weighted.replace(class_weight=None).spec == "cross_entropy(label_smoothing=0.25)"
    both = lossfn.create("0.5*huber(delta=1) + huber(delta=2)")
    for unknown in (1.0, None):
        with pytest.raises(lossfn.Error, match="has no parameter 'no_such'"):
            loss.replace(no_such=unknown)
    assert both.replace(reduction="sum").spec == "0.5*huber(reduction=sum) + huber(delta=2)"
    with pytest.raises(lossfn.ParameterError, match="belongs into the spec"):
        both.replace(delta=3.0)

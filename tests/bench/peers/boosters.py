# SPDX-License-Identifier: MIT
"""XGBoost's and LightGBM's built-in objectives: gradient and Hessian of float32 scores. Neither has a call for them,
so a boosting step is made to do little else: XGBoost tells how long its objective took, LightGBM's is the time of a
step that computes them less that of a step that is given them. Their arrays cannot be looked at."""

from __future__ import annotations

import ctypes
import time
from typing import Any

import numpy as np
from cases import Case
from turns import Contestant

PEERS = {"xgboost": "XGBoost", "lightgbm": "LightGBM"}
STEPS = 4  # boosting steps per turn; the first one also allocates

XGBOOST = {
    "half_squared_error": {"objective": "reg:squarederror"},
    "pseudo_huber": {"objective": "reg:pseudohubererror"},
    "bce_with_logits": {"objective": "binary:logistic"},
    "poisson_nll": {"objective": "count:poisson"},
}

LIGHTGBM = {
    "half_squared_error": {"objective": "regression"},
    "bce_with_logits": {"objective": "binary"},
    "poisson_nll": {"objective": "poisson", "poisson_max_delta_step": 1e-9},
}


def load(key: str, threads: int) -> Xgboost | Lightgbm:
    return Xgboost(threads) if key == "xgboost" else Lightgbm(threads)


def suits(case: Case, table: dict[str, Any]) -> bool:
    return case.loss in table and not case.params and case.want == "grad_hess" and case.dtype == "float32"


class Xgboost:
    def __init__(self, threads: int) -> None:
        import xgboost

        self.xgboost = xgboost
        self.threads = threads
        self.version = str(xgboost.__version__)
        self.lines: list[str] = []
        self.listen = ctypes.CFUNCTYPE(None, ctypes.c_char_p)(lambda line: self.lines.append(line.decode()))

    def build(self, case: Case) -> Contestant | None:
        if not suits(case, XGBOOST):
            return None
        xgboost = self.xgboost
        pred, target = case.inputs["pred"], case.inputs["target"]
        data = xgboost.DMatrix(
            np.zeros((pred.size, 1), np.float32), label=target, base_margin=pred, nthread=self.threads
        )
        params = {"booster": "gblinear", "verbosity": 3, "nthread": self.threads, "disable_default_eval_metric": 1}

        def seconds() -> float:
            """XGBoost's own clock around its objective; it prints that when a booster goes."""
            xgboost.core._LIB.XGBRegisterLogCallback(self.listen)
            self.lines.clear()
            booster = xgboost.Booster({**params, **XGBOOST[case.loss]}, [data])
            for step in range(STEPS):
                booster.update(data, step)
            del booster
            (line,) = (line for line in self.lines if "GetGradient:" in line)
            took, count = line.split("GetGradient:")[1].split("calls")[0].split("s,")
            return float(took) / int(count)

        return Contestant(seconds=seconds)


class Lightgbm:
    def __init__(self, threads: int) -> None:
        import lightgbm

        self.lightgbm = lightgbm
        self.threads = threads
        self.version = str(lightgbm.__version__)

    def build(self, case: Case) -> Contestant | None:
        if not suits(case, LIGHTGBM):
            return None
        pred, target = case.inputs["pred"], case.inputs["target"]
        computes = self.booster(pred, target, LIGHTGBM[case.loss])
        given = self.booster(pred, target, {"objective": "none"})
        arrays = [np.full(pred.size, number, np.float32) for number in (0, 1)]
        pointers = [array.ctypes.data_as(ctypes.POINTER(ctypes.c_float)) for array in arrays]
        library, finished = self.lightgbm.basic._LIB, ctypes.byref(ctypes.c_int(0))

        def check(status: int) -> None:
            if status:
                raise RuntimeError(library.LGBM_GetLastError())

        def seconds() -> float:
            best = []
            for _ in range(STEPS):
                start = time.perf_counter()
                check(library.LGBM_BoosterUpdateOneIter(computes._handle, finished))
                middle = time.perf_counter()
                check(library.LGBM_BoosterUpdateOneIterCustom(given._handle, *pointers, finished))
                best.append((middle - start, time.perf_counter() - middle))
            return max(min(a for a, _ in best) - min(b for _, b in best), 0.0)

        return Contestant(seconds=seconds)

    def booster(self, pred: Any, target: Any, objective: dict[str, Any]) -> Any:
        """A booster that can never split: its one feature is constant."""
        common = {"verbosity": -1, "num_threads": self.threads, "boost_from_average": False}
        common["feature_pre_filter"] = False
        data = self.lightgbm.Dataset(
            np.zeros((pred.size, 1), np.float32), label=target, init_score=pred.astype(np.float64), params=common
        )
        return self.lightgbm.Booster({**common, "min_data_in_leaf": pred.size + 1, **objective}, data)

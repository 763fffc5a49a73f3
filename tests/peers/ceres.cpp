/* SPDX-License-Identifier: MIT
 * Ceres Solver's robust losses: reads lines "name a b s", writes rho, rho' and rho'' of s; the version first. */
#include <ceres/ceres.h>

#include <cstdio>
#include <memory>
#include <string>

static std::unique_ptr<ceres::LossFunction> make(const std::string &name, double a, double b) {
    if (name == "HuberLoss") return std::make_unique<ceres::HuberLoss>(a);
    if (name == "SoftLOneLoss") return std::make_unique<ceres::SoftLOneLoss>(a);
    if (name == "CauchyLoss") return std::make_unique<ceres::CauchyLoss>(a);
    if (name == "ArctanLoss") return std::make_unique<ceres::ArctanLoss>(a);
    if (name == "TukeyLoss") return std::make_unique<ceres::TukeyLoss>(a);
    if (name == "TolerantLoss") return std::make_unique<ceres::TolerantLoss>(a, b);
    return std::make_unique<ceres::TrivialLoss>();
}

int main() {
    std::printf("%s\n", CERES_VERSION_STRING);
    char name[32];
    double a, b, s, rho[3];
    while (std::scanf("%31s %lf %lf %lf", name, &a, &b, &s) == 4) {
        make(name, a, b)->Evaluate(s, rho);
        std::printf("%.17g %.17g %.17g\n", rho[0], rho[1], rho[2]);
    }
}

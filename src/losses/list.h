/* SPDX-License-Identifier: MIT
 * The list of losses, in the order of the catalogue: ELEMENTWISE_LOSS(name, inputs), ROWWISE_LOSS(name) and
 * WHOLE_ROW_LOSS(name), family by family. Whoever includes it says with IN_FAMILY(family) which of these are wanted. */

/* Each family has a file of its own, losses/<family>.h, and is compiled by itself. */
#define FAMILY_regression  1
#define FAMILY_margin      2
#define FAMILY_binary      3
#define FAMILY_classes     4
#define FAMILY_softmax     5
#define FAMILY_multiclass  6
#define FAMILY_information 7
#define FAMILY_robust      8
#define FAMILY_likelihood  9
#define FAMILY_score       10
#define FAMILY_survival    11

#if IN_FAMILY(regression)
ELEMENTWISE_LOSS(mse, 2)
ELEMENTWISE_LOSS(rmse, 2)
ROWWISE_LOSS(multi_rmse)
ELEMENTWISE_LOSS(half_squared_error, 2)
ELEMENTWISE_LOSS(mae, 2)
ELEMENTWISE_LOSS(huber, 2)
ELEMENTWISE_LOSS(pseudo_huber, 2)
ELEMENTWISE_LOSS(smooth_l1, 2)
ELEMENTWISE_LOSS(log_cosh, 2)
ELEMENTWISE_LOSS(quantile, 3)
ELEMENTWISE_LOSS(expectile, 3)
ELEMENTWISE_LOSS(log_lin_quantile, 3)
ELEMENTWISE_LOSS(interval_score, 3)
ELEMENTWISE_LOSS(lp, 2)
ELEMENTWISE_LOSS(logit_dist, 2)
ELEMENTWISE_LOSS(epsilon_insensitive, 2)
ELEMENTWISE_LOSS(squared_epsilon_insensitive, 2)
ELEMENTWISE_LOSS(periodic, 2)
ELEMENTWISE_LOSS(mape, 2)
ELEMENTWISE_LOSS(smape, 2)
ELEMENTWISE_LOSS(mase, 3)
ELEMENTWISE_LOSS(msle, 2)
ELEMENTWISE_LOSS(mean_bias_error, 2)
ELEMENTWISE_LOSS(wing, 2)
ELEMENTWISE_LOSS(adaptive_wing, 2)
ELEMENTWISE_LOSS(balanced_l1, 2)
WHOLE_ROW_LOSS(cosine_similarity)
WHOLE_ROW_LOSS(cosine_distance)
WHOLE_ROW_LOSS(cosine_embedding)
#endif

#if IN_FAMILY(margin)
ELEMENTWISE_LOSS(zero_one, 2)
ELEMENTWISE_LOSS(perceptron, 2)
ELEMENTWISE_LOSS(hinge, 2)
ELEMENTWISE_LOSS(squared_hinge, 2)
ELEMENTWISE_LOSS(smoothed_hinge, 2)
ELEMENTWISE_LOSS(modified_huber, 2)
ELEMENTWISE_LOSS(binary_sparsemax, 2)
ELEMENTWISE_LOSS(l2_margin, 2)
ELEMENTWISE_LOSS(logistic_margin, 2)
ELEMENTWISE_LOSS(focal_star, 2)
ELEMENTWISE_LOSS(exponential_margin, 2)
ELEMENTWISE_LOSS(sigmoid_margin, 2)
ELEMENTWISE_LOSS(dwd_margin, 2)
ELEMENTWISE_LOSS(savage, 2)
ELEMENTWISE_LOSS(tangent, 2)
ELEMENTWISE_LOSS(ramp, 2)
#endif

#if IN_FAMILY(binary)
ELEMENTWISE_LOSS(binary_cross_entropy, 2)
ELEMENTWISE_LOSS(bce_with_logits, 3)
ELEMENTWISE_LOSS(sigmoid_focal, 2)
ELEMENTWISE_LOSS(varifocal, 2)
ELEMENTWISE_LOSS(gaussian_focal, 2)
ELEMENTWISE_LOSS(quality_focal, 2)
ELEMENTWISE_LOSS(asymmetric_multilabel, 2)
#endif

#if IN_FAMILY(classes)
ROWWISE_LOSS(cross_entropy)
ROWWISE_LOSS(categorical_cross_entropy)
ROWWISE_LOSS(nll)
#endif

#if IN_FAMILY(softmax)
WHOLE_ROW_LOSS(categorical_focal)
WHOLE_ROW_LOSS(poly1_cross_entropy)
WHOLE_ROW_LOSS(symmetric_cross_entropy)
WHOLE_ROW_LOSS(generalized_cross_entropy)
WHOLE_ROW_LOSS(logit_adjusted)
WHOLE_ROW_LOSS(ldam)
WHOLE_ROW_LOSS(softcap_cross_entropy)
WHOLE_ROW_LOSS(bi_tempered_logistic)
#endif

#if IN_FAMILY(multiclass)
WHOLE_ROW_LOSS(sparsemax)
WHOLE_ROW_LOSS(entmax15)
WHOLE_ROW_LOSS(crammer_singer)
WHOLE_ROW_LOSS(multiclass_perceptron)
WHOLE_ROW_LOSS(multi_margin)
WHOLE_ROW_LOSS(multilabel_margin)
WHOLE_ROW_LOSS(one_vs_all_logistic)
WHOLE_ROW_LOSS(multilabel_soft_margin)
WHOLE_ROW_LOSS(one_vs_all_hinge)
WHOLE_ROW_LOSS(ordinal_cross_entropy)
WHOLE_ROW_LOSS(corn)
WHOLE_ROW_LOSS(weighted_kappa)
WHOLE_ROW_LOSS(distribution_focal)
#endif

#if IN_FAMILY(information)
ELEMENTWISE_LOSS(self_information, 1)
ROWWISE_LOSS(kl_div)
ROWWISE_LOSS(entropy)
ROWWISE_LOSS(generalized_kl)
ROWWISE_LOSS(reverse_kl)
ROWWISE_LOSS(jensen_shannon)
ROWWISE_LOSS(total_variation)
ROWWISE_LOSS(hellinger)
ROWWISE_LOSS(chi2)
WHOLE_ROW_LOSS(renyi_divergence)
WHOLE_ROW_LOSS(tsallis_divergence)
WHOLE_ROW_LOSS(alpha_divergence)
ELEMENTWISE_LOSS(beta_divergence, 2)
ELEMENTWISE_LOSS(itakura_saito, 2)
ELEMENTWISE_LOSS(gaussian_kl, 2)
ROWWISE_LOSS(brier)
WHOLE_ROW_LOSS(spherical)
#endif

#if IN_FAMILY(robust)
ELEMENTWISE_LOSS(barron, 4)
ELEMENTWISE_LOSS(barron_nll, 4)
ELEMENTWISE_LOSS(cauchy, 2)
ELEMENTWISE_LOSS(student_t_rho, 2)
ELEMENTWISE_LOSS(welsch, 2)
ELEMENTWISE_LOSS(geman_mcclure, 2)
ELEMENTWISE_LOSS(tukey, 2)
ELEMENTWISE_LOSS(tukey_quartic, 2)
ELEMENTWISE_LOSS(asymmetric_tukey, 2)
ELEMENTWISE_LOSS(asymmetric_cauchy, 2)
ELEMENTWISE_LOSS(fair, 2)
ELEMENTWISE_LOSS(ramsay_e, 2)
ELEMENTWISE_LOSS(arctan, 2)
ELEMENTWISE_LOSS(andrews_wave, 2)
ELEMENTWISE_LOSS(saturated, 2)
ELEMENTWISE_LOSS(dcs, 2)
ELEMENTWISE_LOSS(hampel, 2)
ELEMENTWISE_LOSS(tolerant, 2)
ELEMENTWISE_LOSS(m_quantile, 2)
#endif

#if IN_FAMILY(likelihood)
ELEMENTWISE_LOSS(poisson_nll, 2)
ELEMENTWISE_LOSS(gaussian_nll, 3)
ELEMENTWISE_LOSS(laplace_nll, 3)
ELEMENTWISE_LOSS(cauchy_nll, 3)
ELEMENTWISE_LOSS(logistic_nll, 3)
ELEMENTWISE_LOSS(gumbel_nll, 3)
ELEMENTWISE_LOSS(student_t_nll, 4)
ELEMENTWISE_LOSS(gamma_nll, 2)
ELEMENTWISE_LOSS(inverse_gaussian_nll, 2)
ELEMENTWISE_LOSS(lognormal_nll, 3)
ELEMENTWISE_LOSS(weibull_nll, 3)
ELEMENTWISE_LOSS(tweedie_nll, 2)
ELEMENTWISE_LOSS(binomial_nll, 3)
ELEMENTWISE_LOSS(negative_binomial_nll, 2)
ELEMENTWISE_LOSS(zero_inflated_poisson_nll, 3)
ELEMENTWISE_LOSS(zero_inflated_negative_binomial_nll, 3)
ELEMENTWISE_LOSS(von_mises_nll, 3)
ELEMENTWISE_LOSS(beta_nll, 3)
WHOLE_ROW_LOSS(mixture_density)
#endif

#if IN_FAMILY(score)
WHOLE_ROW_LOSS(crps_ensemble)
WHOLE_ROW_LOSS(crps_quantile)
ELEMENTWISE_LOSS(crps_gaussian, 3)
#endif

#if IN_FAMILY(survival)
ELEMENTWISE_LOSS(aft_nll, 4)
WHOLE_ROW_LOSS(cox_nll)
#endif

/* SPDX-License-Identifier: MIT */
#include "core/recommend.h"
#include "core/status.h"
#include "core/text.h"
#include <stddef.h>
#include <string.h>

static const char *const tasks[] = {"regression", "quantile",   "counts",   "positive", "binary",
                                    "multiclass", "multilabel", "ordinal",  "ranking",  "segmentation",
                                    "metric",     "detection",  "survival", "angles"};
enum { TASKS = sizeof tasks / sizeof *tasks };

/* One answer. Without flags the answers to a task come in the order of the table, but for those that only make sense
 * under a flag (`only`). Under flags those with a rank for one of them come first, by rank. */
typedef struct {
    const char *task, *spec, *activation, *why, *caution, *source;
    uint32_t only;
    uint8_t outliers, imbalanced, noisy; /* ranks from 1; 0: the flag does not lift it */
} advice_t;

#define GAUSS   "C. F. Gauss, Theoria motus corporum coelestium, 1809"
#define LAPLACE "P.-S. Laplace, Memoire sur la probabilite des causes par les evenements, 1774"
#define HUBER   "P. J. Huber, Robust estimation of a location parameter, Ann. Math. Statist. 35, 1964"
#define BARRON  "J. T. Barron, A general and adaptive robust loss function, CVPR 2019"
#define KOENKER "R. Koenker, G. Bassett, Regression quantiles, Econometrica 46, 1978"
#define NIX                                                                                                            \
    "D. A. Nix, A. S. Weigend, Estimating the mean and variance of the target probability distribution, ICNN 1994"
#define MCCULLAGH  "P. McCullagh, J. A. Nelder, Generalized linear models, 2nd ed., Chapman and Hall, 1989"
#define BISHOP     "C. M. Bishop, Pattern recognition and machine learning, Springer, 2006"
#define GOODFELLOW "I. Goodfellow, Y. Bengio, A. Courville, Deep learning, MIT Press, 2016"
#define SVM        "C. Cortes, V. Vapnik, Support-vector networks, Machine Learning 20, 1995"
#define SZEGEDY    "C. Szegedy et al., Rethinking the Inception architecture for computer vision, CVPR 2016"
#define KING       "G. King, L. Zeng, Logistic regression in rare events data, Political Analysis 9, 2001"
#define KULLBACK   "S. Kullback, R. A. Leibler, On information and sufficiency, Ann. Math. Statist. 22, 1951"
#define BURGES     "C. Burges et al., Learning to rank using gradient descent, ICML 2005"
#define JOACHIMS   "T. Joachims, Optimizing search engines using clickthrough data, KDD 2002"
#define RONNEBERGER                                                                                                    \
    "O. Ronneberger, P. Fischer, T. Brox, U-Net: convolutional networks for biomedical image segmentation, MICCAI "    \
    "2015"
#define ZHAI    "A. Zhai, H.-Y. Wu, Classification is a strong baseline for deep metric learning, BMVC 2019"
#define LIN     "T.-Y. Lin, P. Goyal, R. Girshick, K. He, P. Dollar, Focal loss for dense object detection, ICCV 2017"
#define FRANK   "E. Frank, M. Hall, A simple approach to ordinal classification, ECML 2001"
#define HADSELL "R. Hadsell, S. Chopra, Y. LeCun, Dimensionality reduction by learning an invariant mapping, CVPR 2006"
#define ZHANG   "T. Zhang, Statistical behavior and consistency of classification methods, Ann. Statist. 32, 2004"

static const advice_t table[] = {
    {"regression", "mse", "none (identity)", "Its minimiser is the mean; the maximum likelihood of normal errors.",
     "One outlier counts with the square of its distance.", GAUSS, 0, 5, 0, 5},
    {"regression", "mae", "none (identity)", "Its minimiser is the median; outliers pull with a constant force.",
     "The gradient does not shrink near the optimum: lower the learning rate at the end.", LAPLACE, 0, 2, 0, 2},
    {"regression", "huber(delta=1)", "none (identity)", "As mse for small errors, as mae for large ones.",
     "delta is in the units of the target: set it where errors begin to be outliers, or scale the target.", HUBER, 0, 1,
     0, 1},
    {"regression", "log_cosh", "none (identity)", "Between mse and mae with all derivatives, and no parameter.",
     "It turns linear at errors of about 1: scale the target.",
     "P. J. Green, Bayesian reconstructions from emission tomography data, IEEE Trans. Med. Imaging 9, 1990", 0, 4, 0,
     4},
    {"regression", "barron(alpha=1, scale=1)", "none (identity)",
     "One parameter goes from mse (alpha=2) to losses that forget outliers (alpha <= 0).",
     "Not convex below alpha=1: begin with alpha=1 or more. scale is in the units of the target.", BARRON, 0, 3, 0, 3},
    {"regression", "barron_nll", "none (identity); alpha and scale from parameters of their own",
     "Robustness is learned with the model: alpha and scale are inputs with gradients.",
     "alpha must be at least 0; keep it below 2 (1.999).", BARRON, LOSSFN_DATA_OUTLIERS, 4, 0, 0},
    {"regression", "gaussian_nll", "pred: none; var: softplus or exp", "The noise of each sample is predicted as well.",
     "Needs a third input, var; start with a fixed one, or points with a small var dominate.", NIX, 0, 0, 0, 0},

    {"quantile", "quantile(tau=0.9)", "none (identity)", "Its minimiser is the tau-quantile of the target.",
     "One output per level; outputs trained apart may cross.", KOENKER, 0, 0, 0, 0},
    {"quantile", "mae", "none (identity)", "The median: quantile(tau=0.5) times two.", "Gives the median alone.",
     LAPLACE, 0, 0, 0, 0},

    {"counts", "poisson_nll", "none: pred is the logarithm of the rate",
     "The likelihood of counts whose variance is their mean.",
     "Counts that vary more than that are overdispersed: standard errors come out too small.", MCCULLAGH, 0, 0, 0, 0},
    {"counts", "poisson_nll(log_input=false, eps=1e-08)", "softplus or exp: pred is the rate",
     "The same on rates, for models that end in one.", "A rate of 0 needs eps; log_input=true is the stabler form.",
     MCCULLAGH, 0, 0, 0, 0},
    {"counts", "negative_binomial_nll", "none: pred is the logarithm of the mean",
     "The likelihood of counts that vary more: var = mean + dispersion mean^2.",
     "dispersion is not estimated: fit it on residuals, or compare a few values on held-out data.",
     "J. Hilbe, Negative Binomial Regression, 2011", 0, 0, 0, 0},
    {"counts", "huber(delta=1)", "exp or softplus", "Some counts are recording errors, not rare events.",
     "No likelihood of counts: compare with poisson_nll on clean data.", HUBER, LOSSFN_DATA_OUTLIERS, 1, 0, 0},

    {"positive", "mse", "none, on the logarithm of the target; exp afterwards",
     "Errors in proportion: the log-normal model.",
     "Take logarithms of the targets first; exp of the prediction is then the median, not the mean.", BISHOP, 0, 2, 0,
     0},
    {"positive", "huber(delta=1)", "none, on the logarithm of the target; exp afterwards",
     "The same with a bounded pull of outliers.", "Take logarithms of the targets first.", HUBER, 0, 1, 0, 0},
    {"positive", "gamma_nll", "none: pred is the logarithm of the mean",
     "The likelihood of numbers whose spread grows with their mean.", "Targets must be greater than 0.", MCCULLAGH, 0,
     0, 0, 0},
    {"positive", "poisson_nll", "none: pred is the logarithm of the mean",
     "Its mean is estimated consistently for any target >= 0, zeros included.",
     "A quasi-likelihood: targets need not be counts, but var = mean is assumed by the weighting.",
     "C. Gourieroux, A. Monfort, A. Trognon, Pseudo maximum likelihood methods, Econometrica 52, 1984", 0, 0, 0, 0},

    {"binary", "binary_cross_entropy", "sigmoid", "The maximum likelihood of a binary event, on probabilities.",
     "A probability of exactly 0 or 1 on the wrong side costs infinity: bce_with_logits avoids it.", GOODFELLOW, 0, 0,
     3, 3},
    {"binary", "bce_with_logits", "none (logits)", "The same likelihood from logits, exact at any confidence.",
     "Apply the sigmoid only to report probabilities.", GOODFELLOW, 0, 2, 2, 2},
    {"binary", "bce_with_logits(pos_weight=10)", "none (logits)",
     "The rare class counts more: the weight that balances the two is negatives / positives.",
     "Put the data's ratio in place of 10. The probabilities are then no longer calibrated.", KING,
     LOSSFN_DATA_IMBALANCED, 0, 1, 0},
    {"binary", "bce_with_logits(label_smoothing=0.1)", "none (logits)",
     "No label is trusted fully, so that a wrong one costs less.",
     "Probabilities are drawn towards 1/2; the smoothing should be about twice the share of wrong labels.", SZEGEDY,
     LOSSFN_DATA_NOISY_LABELS, 0, 0, 1},
    {"binary", "hinge", "none (score; its sign decides)", "The widest margin; samples beyond it do not count.",
     "Targets are -1 and +1 (labels=01 for 0 and 1). Gives no probability.", SVM, 0, 1, 0, 0},
    {"binary", "squared_hinge", "none (score; its sign decides)", "As hinge, but differentiable.",
     "Targets are -1 and +1 (labels=01 for 0 and 1). Outliers count squared.", ZHANG, 0, 0, 0, 0},

    {"multiclass", "categorical_cross_entropy", "softmax", "The maximum likelihood of a class, on probabilities.",
     "A probability of exactly 0 for the true class costs infinity: cross_entropy avoids it.", GOODFELLOW, 0, 0, 3, 3},
    {"multiclass", "cross_entropy", "none (logits)", "The same likelihood from logits, exact at any confidence.",
     "Apply the softmax only to report probabilities.", GOODFELLOW, 0, 0, 2, 2},
    {"multiclass", "cross_entropy(class_weight=[1,2,4])", "none (logits)",
     "Rare classes count more: weights in inverse proportion to frequency balance them.",
     "Put one weight per class in place of 1, 2, 4. The probabilities are then no longer calibrated.", KING,
     LOSSFN_DATA_IMBALANCED, 0, 1, 0},
    {"multiclass", "cross_entropy(label_smoothing=0.1)", "none (logits)",
     "No label is trusted fully, so that a wrong one costs less.",
     "Probabilities become less sharp; 0.1 suits about one wrong label in ten.", SZEGEDY, LOSSFN_DATA_NOISY_LABELS, 0,
     0, 1},
    {"multiclass", "generalized_cross_entropy(q=0.7)", "none (logits)",
     "Bounded: a label that the model finds impossible pulls little.",
     "Not convex, slow to begin with: q towards 0 is cross entropy.",
     "Z. Zhang, M. Sabuncu, Generalized cross entropy loss for training deep neural networks with noisy labels, "
     "NeurIPS 2018",
     LOSSFN_DATA_NOISY_LABELS, 0, 0, 1},
    {"multiclass", "logit_adjusted(prior=[0.7,0.2,0.1])", "none (logits)",
     "Rare classes are found as often as frequent ones: their frequencies stand in the logits of training.",
     "Put the classes' frequencies in place of 0.7, 0.2, 0.1. Predict from pred as it is, unadjusted.",
     "A. K. Menon et al., Long-tail learning via logit adjustment, ICLR 2021", LOSSFN_DATA_IMBALANCED, 0, 1, 0},
    {"multiclass", "kl_div", "softmax", "For targets that are distributions: it is 0 when they are met.",
     "Same gradient as cross entropy; targets must be distributions, not labels.", KULLBACK, 0, 0, 0, 0},

    {"multilabel", "bce_with_logits", "none (one logit per label)", "Each label is a binary event of its own.",
     "Labels that exclude each other belong to cross_entropy.", BISHOP, 0, 0, 2, 2},
    {"multilabel", "binary_cross_entropy", "sigmoid, one per label", "The same on probabilities.",
     "A probability of exactly 0 or 1 on the wrong side costs infinity.", BISHOP, 0, 0, 3, 3},
    {"multilabel", "bce_with_logits(pos_weight=10)", "none (one logit per label)",
     "Most labels are absent from most samples: those present count more.",
     "Put negatives / positives in place of 10; as an input tensor it may differ per label.", KING,
     LOSSFN_DATA_IMBALANCED, 0, 1, 0},
    {"multilabel", "bce_with_logits(label_smoothing=0.1)", "none (one logit per label)",
     "No label is trusted fully, so that a wrong one costs less.", "Probabilities are drawn towards 1/2.", SZEGEDY,
     LOSSFN_DATA_NOISY_LABELS, 0, 0, 1},

    {"ordinal", "ordinal_cross_entropy", "none: K-1 logits for K classes, one per threshold",
     "Each threshold is a binary question: is the class above it?",
     "Predictions of thresholds may cross, unless they share all but a bias.", FRANK, 0, 0, 0, 0},
    {"ordinal", "corn", "none: K-1 logits for K classes, one per threshold",
     "Each threshold is asked only where the one before was passed: probabilities cannot cross.",
     "The probability of being above a threshold is the product of the sigmoids up to it.",
     "X. Shi, W. Cao, S. Raschka, Deep neural networks for rank-consistent ordinal regression based on conditional "
     "probabilities, Pattern Anal. Appl. 26, 2023",
     0, 0, 0, 0},
    {"ordinal", "weighted_kappa", "softmax",
     "Agreement beyond chance, by which graders and contests are judged; classes far apart cost more.",
     "A number of the whole batch: small batches are noisy. Not convex.",
     "J. de la Torre, D. Puig, A. Valls, Weighted kappa loss function for multi-class classification of ordinal data "
     "in deep learning, Pattern Recognit. Lett. 105, 2018",
     0, 0, 2, 0},
    {"ordinal", "cross_entropy", "none (logits)", "Treats the classes as unordered: safe when there is much data.",
     "Forgets the order: an error by one costs as much as an error by many.", GOODFELLOW, 0, 0, 1, 0},
    {"ordinal", "mae", "none (identity), rounded to a class", "The distance between classes counts.",
     "Takes the classes to be equally far apart.", LAPLACE, 0, 1, 0, 1},

    {"ranking", "bce_with_logits", "none: the difference of two scores",
     "The probability that the first of a pair ranks higher (RankNet).",
     "Pairs must be formed by the caller: pred = score difference, target = 1 where the first should win.", BURGES, 0,
     0, 0, 1},
    {"ranking", "hinge", "none: the difference of two scores", "A margin between the scores of a pair (ranking SVM).",
     "Pairs must be formed by the caller: target +1 where the first should win, else -1.", JOACHIMS, 0, 1, 0, 0},

    {"segmentation", "cross_entropy(axis=1)", "none (logits, N x C x H x W)", "The likelihood of each pixel's class.",
     "Small regions count little: there is no overlap loss (dice) here yet.", RONNEBERGER, 0, 0, 2, 0},
    {"segmentation", "cross_entropy(class_weight=[1,2,4], axis=1)", "none (logits, N x C x H x W)",
     "Rare classes count more, pixel by pixel.",
     "Put one weight per class in place of 1, 2, 4; there is no overlap loss (dice) here yet.", RONNEBERGER,
     LOSSFN_DATA_IMBALANCED, 0, 1, 0},
    {"segmentation", "bce_with_logits", "none (one logit per pixel)", "Foreground against background.",
     "Small regions count little: pos_weight helps; there is no overlap loss (dice) here yet.", RONNEBERGER, 0, 0, 3,
     0},
    {"segmentation", "cross_entropy(label_smoothing=0.1, axis=1)", "none (logits, N x C x H x W)",
     "No pixel's label is trusted fully: borders are often drawn wrongly.", "Borders come out less sharp.", SZEGEDY,
     LOSSFN_DATA_NOISY_LABELS, 0, 0, 1},

    {"metric", "cross_entropy", "scaled cosine to one proxy per class (logits)",
     "Classification with normalised embeddings is a strong base line.",
     "Needs classes at training time: cosine_embedding takes pairs instead. There is no triplet loss here yet.", ZHAI,
     0, 0, 0, 2},
    {"metric", "cross_entropy(label_smoothing=0.1)", "scaled cosine to one proxy per class (logits)",
     "The same when some labels are wrong.",
     "Needs classes at training time: cosine_embedding takes pairs instead. There is no triplet loss here yet.",
     SZEGEDY, LOSSFN_DATA_NOISY_LABELS, 0, 0, 1},
    {"metric", "squared_hinge", "none: threshold minus distance of a pair",
     "Pairs that should be near lie within the threshold, others beyond it.",
     "Pairs must be formed by the caller: target +1 for equal, -1 for different. cosine_embedding takes the vectors.",
     HADSELL, 0, 0, 0, 0},

    {"detection", "sigmoid_focal", "none (one logit per class and place)",
     "What is classified well counts little: the many places without an object do not drown the others.",
     "Divide the sum by the number of objects, not of places.", LIN, 0, 2, 1, 2},
    {"detection", "varifocal", "none (one logit per class and place)",
     "The score learns how good the box is, so that it ranks boxes as well.",
     "The target is the box's overlap with the object, 0 without one.",
     "H. Zhang, Y. Wang, F. Dayoub, N. Sunderhauf, VarifocalNet, an IoU-aware dense object detector, CVPR 2021", 0, 0,
     2, 0},
    {"detection", "smooth_l1", "none: offsets of a box from its anchor",
     "For the box: outliers pull with a constant force.",
     "Each side counts on its own: there is no overlap loss (IoU) here yet. Normalise the offsets.",
     "R. Girshick, Fast R-CNN, ICCV 2015", 0, 1, 0, 1},
    {"detection", "gaussian_focal", "none (one logit per class and pixel)",
     "For key points as peaks of a heatmap: near a peak less is asked for.",
     "Targets are 1 at a key point and fall off around it. Divide the sum by the number of key points.",
     "H. Law, J. Deng, CornerNet, detecting objects as paired keypoints, ECCV 2018", 0, 0, 3, 0},

    {"survival", "cox_nll", "none: pred is the logarithm of the hazard",
     "Who fails first is modelled, not when: the shape of the hazard is left free.",
     "Needs a third input, event. A row is a sample: in small batches few are compared.",
     "D. Cox, Regression models and life-tables, J. R. Stat. Soc. B 34, 1972", 0, 1, 0, 0},
    {"survival", "aft_nll", "none: pred is the location of the logarithm of the time",
     "The time itself is modelled: log-normal, log-logistic or Weibull.",
     "Needs a third input, upper: inf where only a lower bound is known, target where the time is.",
     "J. Kalbfleisch, R. Prentice, The Statistical Analysis of Failure Time Data, 1980", 0, 2, 0, 0},

    {"angles", "von_mises_nll", "none: pred is the angle in radians", "The normal distribution's like on the circle.",
     "Predict a sine and a cosine and take atan2: an angle as an output has a jump somewhere.",
     "R. von Mises, Ueber die Ganzzahligkeit der Atomgewichte, Phys. Z. 19, 1918", 0, 2, 0, 0},
    {"angles", "periodic(c=360)", "none: pred is the angle in units of which c are a turn",
     "The same without a likelihood, in any unit.", "The gradient vanishes at the opposite angle.",
     "K. V. Mardia, P. E. Jupp, Directional statistics, Wiley, 2000", 0, 1, 0, 0},
};
enum { ROWS = sizeof table / sizeof *table, UNRANKED = 255 };

const char *lossfn__task_at(int32_t i) { return i >= 0 && i < TASKS ? tasks[i] : NULL; }

static int32_t better(int32_t rank, uint8_t other) { return other && other < rank ? other : rank; }

/* Place of a row under these flags; below 0 if it is no answer. */
static int32_t rank_of(const advice_t *row, uint32_t flags) {
    int32_t rank = UNRANKED;
    if (row->only && !(row->only & flags)) return -1;
    if (flags & LOSSFN_DATA_OUTLIERS) rank = better(rank, row->outliers);
    if (flags & LOSSFN_DATA_IMBALANCED) rank = better(rank, row->imbalanced);
    if (flags & LOSSFN_DATA_NOISY_LABELS) rank = better(rank, row->noisy);
    return rank;
}

/* The i-th row of a task by rank, then by its place in the table; NULL past the last. *count gets how many there are.
 */
static const advice_t *pick(const char *task, uint32_t flags, int32_t i, int32_t *count) {
    const advice_t *found = NULL;
    *count = 0;
    for (int32_t rank = 0; rank <= UNRANKED; rank++)
        for (int32_t k = 0; k < ROWS; k++) {
            if (strcmp(table[k].task, task) != 0 || rank_of(&table[k], flags) != rank) continue;
            if ((*count)++ == i) found = &table[k];
        }
    return found;
}

static lossfn_status_t unknown_task(const char *task) {
    char list[160];
    lossfn__writer_t out = {list, sizeof list, 0};
    for (int32_t i = 0; i < TASKS; i++) {
        if (i) lossfn__put(&out, ", ");
        lossfn__put(&out, tasks[i]);
    }
    return lossfn__fail(LOSSFN_ERROR_NOT_FOUND, "no task is named '%s'; tasks: %s", task, list);
}

lossfn_status_t lossfn__recommend(const char *task, uint32_t flags, int32_t i, lossfn_recommendation_t *out) {
    int32_t count;
    const advice_t *row = pick(task, flags, i, &count);
    if (!count) return unknown_task(task);
    LOSSFN__REQUIRE(row, LOSSFN_ERROR_NOT_FOUND, "there are %d recommendations for %s, asked for number %d", (int)count,
                    task, (int)i);
    *out = (lossfn_recommendation_t){sizeof *out, row->spec, row->activation, row->why, row->caution, row->source};
    return LOSSFN_OK;
}

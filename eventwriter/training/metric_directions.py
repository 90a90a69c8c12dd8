"""Whether a metric should be low or high, told by the words in its name.

The names are those that Keras, scikit-learn, torchmetrics, XGBoost and LightGBM give their metrics,
and usual short names. What is good at one time and bad at another, such as a mean or a count of
predictions, stands in neither table.
"""

from __future__ import annotations

import re

# Each name is one or more words. The one that ends last in the name of a metric decides: in
# "accuracy_loss" it is loss. Of two that end at the same word, the longer one: "brier_score".
_GREATER_IS_BETTER = """
    acc accuracy balanced_accuracy exact_match hit_rate hit_ratio hits success success_index
    auc auroc auprc aucpr auc_mu ap map gini
    elbo precision pre ppv recall tpr sensitivity specificity tnr npv predictive_value
    true_positives true_negatives true_positive_rate true_negative_rate
    positive_likelihood_ratio likelihood log_likelihood loglik
    f1 f2 fbeta fmeasure fscore kappa mcc matthews dice iou io_u ciou diou giou jaccard
    intersection_over_union panoptic
    r2 d2 d2_brier_score explained_variance correlation corr corrcoef coef coefficient pearson
    spearman kendall concordance cramers_v theils_u tschuprows_t
    score reward return episode_return
    ndcg dcg mrr r_precision
    bleu sacrebleu rouge meteor chrf squad similarity ssim psnr snr sdr noise_ratio
    distortion_ratio energy_ratio quality quality_index pesq stoi intelligibility fidelity vif vmaf
    assessment_fusion arniqa inception_score word_info_preserved wip
    rand adjusted_rand rand_index mutual_info mutual_information nmi ami v_measure completeness
    homogeneity silhouette calinski_harabasz dunn dunn_index fowlkes_mallows_index
    neg_acc neg_accuracy
"""
_LESS_IS_BETTER = """
    loss error err error_rate mse msle mae mape smape wmape rmse rmsle mphe nrmse
    rase ergas dimensionless_synthesis
    logloss log_loss mlogloss merror neg_loss nll nloglik negative_log_likelihood
    bce crossentropy entropy perplexity ppl bits_per
    l1 l2 huber fair poisson gamma tweedie quantile expectile pinball deviance deviance_score hinge
    logcosh log_cosh
    cost distance divergence kl kld kullback_leibler jensen_shannon disparity hausdorff
    false_positives false_negatives false_positive_rate false_negative_rate fpr fnr fdr fall_out
    fallout eer negative_likelihood_ratio
    brier brier_score ranked_probability_score crps ece davies_bouldin davies_bouldin_score
    wer cer ter mer edit_rate word_info_lost wil
    fid kid lpips dists image_patch_similarity structure_and_texture_similarity total_variation
    distortion_index spectral_angle angle_mapper inception_distance
    regret
"""
_DIRECTIONS = {
    tuple(name.split("_")): mode
    for mode, names in (("max", _GREATER_IS_BETTER), ("min", _LESS_IS_BETTER))
    for name in names.split()
}


def direction_of(metric: str) -> str | None:
    """Return "min" or "max": which values of a metric are better. None where the name says neither.

    Args:
        metric: The name, such as "val_loss", "BinaryF1Score", "ndcg@5" or "neg_log_loss".
    """
    words = _words(metric)
    for end in range(len(words), 0, -1):
        for start in range(end):  # the longest name first
            mode = _DIRECTIONS.get(tuple(words[start:end]))
            if mode is not None:
                # scikit-learn turns errors into scores: "neg_mean_squared_error".
                negated = "neg" in words[:start]
                return mode if not negated else {"min": "max", "max": "min"}[mode]
    return None


def _words(metric: str) -> list[str]:
    """Return the words of a name in small letters: "RetrievalMAP@10" has retrieval, map and 10."""
    boundary = r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])"
    apart = re.sub(boundary, "_", metric).lower()
    return [_word(word) for word in re.split(r"[^a-z0-9]+", apart) if word]


def _word(word: str) -> str:
    """Return a word without the number behind it, "acc5", unless it is part of the name, "f1"."""
    return word if (word,) in _DIRECTIONS else word.rstrip("0123456789") or word

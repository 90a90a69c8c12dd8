"""Which way a metric is better, and what is better."""

from __future__ import annotations

import math
from typing import Any

import pytest

from eventwriter.callbacks import EarlyStopping, ModelCheckpoint, ReduceLROnPlateau
from eventwriter.errors import ArgumentTypeError, ArgumentValueError, EventWriterWarning
from eventwriter.training.monitor import Monitor
from tests.helpers.trainings import column, train


@pytest.mark.parametrize(
    ("metric", "less"),
    [
        ("loss", True),
        ("val_loss", True),
        ("val_mean_squared_error", True),
        ("val_rmse", True),
        ("logloss", True),
        ("accuracy_loss", True),
        ("acc", False),
        ("val_accuracy", False),
        ("valAUC", False),
        ("val_f1", False),
        ("top5_acc", False),
        ("loss/accuracy", False),
    ],
)
def test_direction_is_told_by_the_name(metric: str, less: bool) -> None:
    """`mode="auto"` knows the field's usual metrics by the last known word of their names."""
    assert less == Monitor("A", metric).less_is_better


@pytest.mark.parametrize("metric", ["val_thing", "val_top5", "mean", "predictions", "", "@"])
@pytest.mark.parametrize(
    "make",
    [
        EarlyStopping,
        ReduceLROnPlateau,
        lambda metric, **mode: ModelCheckpoint("a", metric, save_best_only=True, **mode),
    ],
)
def test_direction_that_cannot_be_told(make: Any, metric: str) -> None:
    """A name that says nothing is refused when the callback is made, with what to pass."""
    with pytest.raises(ArgumentValueError, match=rf"mode: .*got {metric!r}.*mode='max'"):
        make(metric)
    make(metric, mode="max")
    ModelCheckpoint("a", metric)  # it compares nothing


# What the frameworks themselves say, by their names. Each name also has its usual neighbours.
HIGH = {
    "keras": """accuracy binary_accuracy categorical_accuracy sparse_categorical_accuracy
        top_k_categorical_accuracy sparse_top_k_categorical_accuracy auc auc_1 cosine_similarity
        concordance_correlation pearson_correlation f1_score fbeta_score precision recall r2_score
        binary_io_u io_u mean_io_u one_hot_io_u one_hot_mean_io_u precision_at_recall
        recall_at_precision sensitivity_at_specificity specificity_at_sensitivity true_positives
        true_negatives""",
    "sklearn": """accuracy_score adjusted_mutual_info_score adjusted_rand_score auc
        average_precision_score balanced_accuracy_score calinski_harabasz_score cohen_kappa_score
        completeness_score consensus_score d2_absolute_error_score d2_brier_score d2_log_loss_score
        d2_pinball_score d2_tweedie_score dcg_score explained_variance_score f1_score fbeta_score
        fowlkes_mallows_score homogeneity_score jaccard_score label_ranking_average_precision_score
        matthews_corrcoef mutual_info_score ndcg_score normalized_mutual_info_score precision_score
        r2_score rand_score recall_score roc_auc_score silhouette_score top_k_accuracy_score
        v_measure_score""",
    "torchmetrics": """ARNIQA BERTScore BLEUScore BinaryAUROC BinaryAccuracy BinaryAveragePrecision
        BinaryCohenKappa BinaryF1Score BinaryFBetaScore BinaryJaccardIndex BinaryLogAUC
        BinaryMatthewsCorrCoef BinaryPrecision BinaryRecall BinarySpecificity
        BinaryNegativePredictiveValue CHRFScore CLIPImageQualityAssessment CLIPScore
        CalinskiHarabaszScore ClusterAccuracy CompleteIntersectionOverUnion CompletenessScore
        ComplexScaleInvariantSignalNoiseRatio ConcordanceCorrCoef CosineSimilarity CramersV
        CriticalSuccessIndex DeepNoiseSuppressionMeanOpinionScore DiceScore
        DistanceIntersectionOverUnion DunnIndex ExplainedVariance FleissKappa FowlkesMallowsIndex
        GeneralizedDiceScore GeneralizedIntersectionOverUnion HomogeneityScore InceptionScore
        IntersectionOverUnion KendallRankCorrCoef MeanAveragePrecision MeanIoU
        ModifiedPanopticQuality MultiScaleStructuralSimilarityIndexMeasure MulticlassExactMatch
        MultilabelRankingAveragePrecision MutualInfoScore NonIntrusiveSpeechQualityAssessment
        PanopticQuality PeakSignalNoiseRatio PeakSignalNoiseRatioWithBlockedEffect PearsonCorrCoef
        PearsonsContingencyCoefficient PerceptualEvaluationSpeechQuality QualityWithNoReference
        R2Score ROUGEScore RandScore RetrievalAUROC RetrievalHitRate RetrievalMAP RetrievalMRR
        RetrievalNormalizedDCG RetrievalPrecision RetrievalRPrecision RetrievalRecall
        SacreBLEUScore ScaleInvariantSignalDistortionRatio ScaleInvariantSignalNoiseRatio
        ShortTimeObjectiveIntelligibility SignalDistortionRatio SignalNoiseRatio
        SourceAggregatedSignalDistortionRatio SpatialCorrelationCoefficient SpearmanCorrCoef
        SpeechReverberationModulationEnergyRatio StructuralSimilarityIndexMeasure TheilsU
        TschuprowsT UniversalImageQualityIndex VMeasureScore VideoMultiMethodAssessmentFusion
        VisualInformationFidelity WordInfoPreserved""",
    "xgboost": """auc aucpr pre pre@5 ndcg ndcg@5 ndcg@5- map map@5 map@5-
        interval-regression-accuracy""",
    "lightgbm": "auc auc_mu average_precision ndcg@5 map@5 r2",
    "others": "mAP50 map50-95 acc1 valAUC val/f1 episode_reward mean_return success_rate neg_acc",
}
LOW = {
    "keras": """binary_crossentropy categorical_crossentropy sparse_categorical_crossentropy hinge
        squared_hinge categorical_hinge kl_divergence logcosh mean_absolute_error
        mean_absolute_percentage_error mean_squared_error mean_squared_logarithmic_error poisson
        root_mean_squared_error huber false_positives false_negatives_1""",
    "sklearn": """brier_score_loss coverage_error davies_bouldin_score hamming_loss hinge_loss
        label_ranking_loss log_loss max_error mean_absolute_error mean_absolute_percentage_error
        mean_gamma_deviance mean_pinball_loss mean_poisson_deviance mean_squared_error
        mean_squared_log_error mean_tweedie_deviance median_absolute_error root_mean_squared_error
        root_mean_squared_log_error zero_one_loss""",
    # Of three classes torchmetrics says the contrary of their own papers: DaviesBouldinScore,
    # SpectralDistortionIndex and, above, WordInfoPreserved. PerceptualPathLength is in no list.
    "torchmetrics": """BinaryCalibrationError BinaryEER BinaryHammingDistance BinaryHingeLoss
        CharErrorRate ContinuousRankedProbabilityScore DaviesBouldinScore
        DeepImageStructureAndTextureSimilarity EditDistance
        ErrorRelativeGlobalDimensionlessSynthesis ExtendedEditDistance FrechetInceptionDistance
        HausdorffDistance JensenShannonDivergence KLDivergence KernelInceptionDistance
        LearnedPerceptualImagePatchSimilarity LipVertexError LogCoshError MatchErrorRate
        MeanAbsoluteError MeanSquaredLogError MemorizationInformedFrechetInceptionDistance
        MinkowskiDistance MultilabelCoverageError MultilabelRankingLoss
        NormalizedRootMeanSquaredError Perplexity ProcrustesDisparity RelativeAverageSpectralError
        RelativeSquaredError RetrievalFallOut RootMeanSquaredErrorUsingSlidingWindow
        SpatialDistortionIndex SpectralAngleMapper SpectralDistortionIndex
        SymmetricMeanAbsolutePercentageError TotalVariation TranslationEditRate
        TweedieDevianceScore WeightedMeanAbsolutePercentageError WordErrorRate WordInfoLost""",
    "xgboost": """rmse rmsle mae mape mphe logloss error error@0.7 merror mlogloss poisson-nloglik
        gamma-nloglik gamma-deviance cox-nloglik tweedie-nloglik@1.5 aft-nloglik quantile
        expectile""",
    "lightgbm": """l1 l2 rmse quantile mape huber fair poisson gamma gamma_deviance tweedie
        binary_logloss binary_error multi_logloss multi_error multi_error@3 cross_entropy
        cross_entropy_lambda kullback_leibler""",
    "others": "neg_log_likelihood negative_log_likelihood val_neg_loss train/ppl bits_per_dim fid",
}


@pytest.mark.parametrize("prefix", ["", "val_"])
@pytest.mark.parametrize(
    ("metric", "less"),
    [
        (metric, less)
        for less, names in ((False, HIGH), (True, LOW))
        for metric in dict.fromkeys(" ".join(names.values()).split())
    ],
)
def test_metrics_of_the_frameworks(metric: str, less: bool, prefix: str) -> None:
    """The direction of every metric that a framework names is known."""
    assert less == Monitor("A", prefix + metric).less_is_better


def test_given_mode_wins() -> None:
    """`mode` decides whatever the name says."""
    assert not Monitor("A", "loss", "max").less_is_better
    assert Monitor("A", "thing", "min").less_is_better


@pytest.mark.parametrize("callback", [EarlyStopping, ReduceLROnPlateau])
def test_unknown_mode(callback: type) -> None:
    """An unknown mode warns, and the name decides."""
    with pytest.warns(EventWriterWarning, match="'up'"):
        made = callback("val_loss", mode="up")
    assert made._monitor.less_is_better


def test_unknown_mode_of_checkpoint() -> None:
    """As above."""
    with pytest.warns(EventWriterWarning, match="'up'"):
        ModelCheckpoint("a", "val_loss", mode="up")


@pytest.mark.parametrize(
    ("value", "reference", "improved"),
    [
        (1.0, None, True),
        (math.nan, None, False),
        (math.nan, 1.0, False),
        (1.0, math.nan, True),
        (1.0, 1.0, False),
        (0.9, 1.0, False),
        (0.89, 1.0, True),
        (math.inf, None, True),
        (-math.inf, 0.0, True),
    ],
)
def test_improvement(value: float, reference: float | None, improved: bool) -> None:
    """Better is strictly better by more than `min_delta`, whose sign is ignored; NaN never is."""
    assert improved == Monitor("A", "loss", "min", -0.1).improved(value, reference)


def test_missing_metric() -> None:
    """It is warned of at every epoch's end, with what is available; training goes on."""
    with pytest.warns(EventWriterWarning, match=r"'val_loss' is not available.*loss, acc") as told:
        loop = train([EarlyStopping()], [{"loss": 1.0, "acc": 0.5}] * 2)

    assert 2 == len(told)
    assert "finished" == loop.status


def test_monitor_that_is_no_name() -> None:
    """`monitor` must be a str."""
    with pytest.raises(ArgumentTypeError, match="monitor"):
        EarlyStopping(3)  # type: ignore[arg-type]


def test_metric_that_is_no_number() -> None:
    """A list has no order: it is warned of."""
    monitor = Monitor("A", "loss")

    with pytest.warns(EventWriterWarning, match="no number"):
        assert monitor.value({"loss": [1, 2]}, "nothing happens") is None


def test_columns() -> None:
    """The tests' own helper makes an epoch of each value."""
    assert [{"a": 1}, {"a": 2}] == column("a", [1, 2])

"""scikit-learn's models that the tests show: each function returns a model and its data."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.ensemble import RandomForestClassifier, StackingClassifier
from sklearn.feature_selection import SelectKBest
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import FeatureUnion, Pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier


def passengers(rows: int = 40) -> tuple[pd.DataFrame, np.ndarray[Any, Any]]:
    """Mixed columns, some of them missing, and a class for each row."""
    random = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "age": np.where(random.random(rows) < 0.2, np.nan, random.integers(1, 80, rows)),
            "fare": random.gamma(2.0, 15.0, rows),
            "sex": random.choice(["female", "male"], rows),
            "port": random.choice(["C", "Q", "S"], rows),
            "siblings": random.integers(0, 4, rows),
            "ticket": [f"A/{row}" for row in range(rows)],
        }
    )
    return frame, (frame["fare"] > frame["fare"].median()).to_numpy().astype(int)


def column_pipeline() -> tuple[Pipeline, pd.DataFrame]:
    """Numbers, categories, columns passed on and dropped, into a classifier; not fitted."""
    numbers = Pipeline([("impute", SimpleImputer(strategy="median")), ("scale", StandardScaler())])
    columns = ColumnTransformer(
        [
            ("numbers", numbers, ["age", "fare"]),
            ("categories", OneHotEncoder(handle_unknown="ignore"), ["sex", "port"]),
            ("counts", "passthrough", ["siblings"]),
            ("ids", "drop", ["ticket"]),
        ]
    )
    model = Pipeline([("prepare", columns), ("classify", LogisticRegression(C=0.5))])
    return model, passengers()[0]


def fitted_column_pipeline() -> tuple[Pipeline, pd.DataFrame]:
    """The same, fitted."""
    model, _ = column_pipeline()
    frame, classes = passengers()
    return model.fit(frame, classes), frame


def search_over_union() -> tuple[GridSearchCV, np.ndarray[Any, Any]]:
    """A grid search over a pipeline with a FeatureUnion; fitted."""
    random = np.random.default_rng(0)
    data, classes = random.normal(size=(30, 5)), np.arange(30) % 3
    union = FeatureUnion([("pca", PCA(2)), ("best", SelectKBest(k=1)), ("rest", "drop")])
    pipeline = Pipeline(
        [
            ("skip", "passthrough"),
            ("features", union),
            ("forest", RandomForestClassifier(3, random_state=0)),
        ]
    )
    search = GridSearchCV(pipeline, {"forest__max_depth": [1, 2]}, cv=2)
    return search.fit(data, classes), data


def stack() -> tuple[StackingClassifier, np.ndarray[Any, Any]]:
    """Two classifiers under a third, which sees the data too; not fitted."""
    parts = [("tree", DecisionTreeClassifier()), ("scaled", Pipeline([
        ("scale", StandardScaler()), ("linear", LogisticRegression())]))]  # fmt: skip
    model = StackingClassifier(parts, LogisticRegression(), passthrough=True)
    return model, np.zeros((4, 3), np.float32)

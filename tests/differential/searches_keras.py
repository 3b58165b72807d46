"""Rows of the table of searches: Keras by way of scikeras and of its own wrappers.

Keras is imported where a row is built, as most tests do without it.
"""

from __future__ import annotations

import data_sets as data
from rows import Table
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import BaggingClassifier, VotingClassifier
from sklearn.model_selection import KFold
from sklearn.multiclass import OneVsRestClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

# scikit-learn 1.6 and later does not see that scikeras' classifiers are some, so that
# only ours would stratify and know which scorer is meant.
TABLE = Table(
    framework="keras",
    needs=("tensorflow", "scikeras"),
    cv=KFold(2, shuffle=True, random_state=0),
    scoring="accuracy",
    # TensorFlow's products of matrices depend on where these lie in memory.
    tolerance=1e-6,
)
row = TABLE.row

OBJECTS = "a file holds no functions, classes or objects"


@row(
    data.iris_words,
    capture="both",
    rescored={"scoring": "neg_log_loss"},
    snapshots=True,
)
def scikeras_classifier():
    from own_keras import classifier

    return classifier(), {"model__units": [2, 3]}


@row(data.iris_float32)
def scikeras_in_a_pipeline():
    from own_keras import build_functional, classifier

    return make_pipeline(StandardScaler(), classifier(build_functional)), {
        "kerasclassifier__model__units": [2, 3]
    }


@row(data.diabetes, scoring="r2")
def scikeras_regressor():
    from own_keras import regressor

    return regressor(), {"model__units": [2, 3], "optimizer": ["sgd", "adam"]}


@row(data.iris, refused_by_file=OBJECTS)
def activations_in_the_grid():
    import keras
    from own_keras import classifier, swish_like

    return classifier(), {
        "model__activation": [swish_like, keras.activations.tanh, lambda x: x * 2]
    }


@row(data.iris, refused_by_file=OBJECTS)
def optimizers_in_the_grid():
    import keras
    from own_keras import classifier

    return classifier(), {
        "optimizer": [
            keras.optimizers.Adam(0.1),
            keras.optimizers.SGD(0.1, momentum=0.9),
            keras.optimizers.Adam(
                keras.optimizers.schedules.ExponentialDecay(0.1, 2, 0.5)
            ),
        ]
    }


@row(data.iris)
def optimizer_of_the_estimator():
    import keras
    from own_keras import classifier

    return classifier(optimizer=keras.optimizers.Adam, optimizer__learning_rate=0.1), {
        "optimizer__learning_rate": [0.01, 0.5]
    }


@row(data.iris, refused_by_file=OBJECTS)
def losses_in_the_grid():
    import keras
    from own_keras import classifier

    return classifier(), {
        "loss": [
            keras.losses.SparseCategoricalCrossentropy(),
            keras.losses.SparseCategoricalCrossentropy(ignore_class=0),
        ]
    }


@row(data.iris, refused_by_file=OBJECTS)
def builders_in_the_grid():
    from own_keras import build, build_functional, classifier

    return classifier(), {"model": [build, build_functional]}


@row(data.iris)
def layers_of_the_user():
    from own_keras import build_with_layer, classifier

    return classifier(build_with_layer, model__units=3), {"model__units": [2, 3]}


@row(data.iris, refused_by_file=OBJECTS)
def layers_in_the_grid():
    import keras
    from own_keras import Scaled, build_with_layer, classifier

    return classifier(build_with_layer, model__layer=None), {
        "model__layer": [Scaled(0.5), keras.layers.Rescaling(0.1), None]
    }


@row(data.iris, refused_by_file=OBJECTS)
def keras_callbacks_in_the_grid():
    import keras
    from own_keras import classifier

    return classifier(epochs=2), {
        "callbacks": [
            None,
            [keras.callbacks.EarlyStopping("loss", patience=0)],
            [keras.callbacks.LearningRateScheduler(lambda epoch: 0.1 / (1 + epoch))],
        ]
    }


@row(data.iris_words)
def encoders_of_a_subclass():
    from own_keras import WithEncoders, classifier

    return classifier(cls=WithEncoders), {"model__units": [2, 3]}


@row(data.iris_words)
def keras_bagging():
    from own_keras import classifier

    return BaggingClassifier(classifier(), n_estimators=2, random_state=0), {
        "estimator__model__units": [2, 3]
    }


@row(data.iris)
def keras_one_vs_rest_over_pipeline():
    from own_keras import classifier

    return OneVsRestClassifier(make_pipeline(StandardScaler(), classifier())), {
        "estimator__kerasclassifier__model__units": [2, 3]
    }


@row(data.iris)
def keras_voting():
    from keras.wrappers import SKLearnClassifier
    from own_keras import build_from_data

    net = SKLearnClassifier(build_from_data, fit_kwargs={"verbose": 0})
    return VotingClassifier([("net", net), ("bayes", GaussianNB())]), {
        "weights": [None, [1, 3]]
    }


@row(data.diabetes, scoring="r2")
def keras_transformed_target():
    from own_keras import regressor

    return TransformedTargetRegressor(regressor(), transformer=StandardScaler()), {
        "regressor__model__units": [2, 3]
    }


@row(data.iris, refused_by_file=OBJECTS)
def keras_and_others_by_turns():
    from own_keras import classifier

    return Pipeline([("scale", StandardScaler()), ("model", classifier())]), [
        {"model": [GaussianNB(), classifier(optimizer="sgd")]},
        {"scale": ["passthrough"], "model__epochs": [1, 2]},
    ]


@row(data.iris)
def keras_wrappers_classifier():
    from keras.wrappers import SKLearnClassifier
    from own_keras import build_from_data

    return SKLearnClassifier(build_from_data, fit_kwargs={"verbose": 0}), {
        "model_kwargs": [{"hidden": 2}, {"hidden": 3, "activation": "tanh"}],
        "fit_kwargs": [{"verbose": 0, "epochs": 1}],
    }


@row(
    data.iris,
    refused="the builder asks for the data, and the configuration names own functions",
    fits_again=1,
)
def keras_wrappers_with_functions():
    from keras.wrappers import SKLearnClassifier
    from own_keras import build_from_data, swish_like

    return SKLearnClassifier(build_from_data, fit_kwargs={"verbose": 0}), {
        "model_kwargs": [{"activation": swish_like}, {"activation": lambda x: x * 3}]
    }


@row(data.diabetes, scoring="r2")
def keras_wrappers_regressor_in_a_pipeline():
    from keras.wrappers import SKLearnRegressor
    from own_keras import build_number_from_data

    return make_pipeline(
        StandardScaler(),
        SKLearnRegressor(build_number_from_data, fit_kwargs={"verbose": 0}),
    ), {"sklearnregressor__model_kwargs": [{"hidden": 2}, {"hidden": 3}]}

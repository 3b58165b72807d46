"""Rows of the table of searches: PyTorch by way of skorch.

PyTorch is imported where a row is built, as most tests do without it.
"""

from __future__ import annotations

import data_sets as data
import numpy as np
from rows import Table
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import BaggingClassifier, StackingClassifier, VotingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import FixedThresholdClassifier
from sklearn.multiclass import OneVsRestClassifier
from sklearn.multioutput import MultiOutputClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

TABLE = Table(framework="torch", needs=("torch", "skorch"), cv=2)
row = TABLE.row

# What callbacks have learned is not kept, so that the best net is refit.
CALLBACKS = 1
OBJECTS = "a file holds no functions, classes or objects"

single = FunctionTransformer(np.float32)


@row(
    data.floats32,
    capture="both",
    rescored={"scoring": "neg_log_loss"},
    snapshots=True,
)
def skorch_classifier():
    from own_torch import net

    return net(), {"module__units": [3, 5], "lr": [0.01, 0.1]}


@row(data.floats32)
def skorch_in_a_pipeline():
    from own_torch import net

    return make_pipeline(StandardScaler(), net()), {
        "neuralnetclassifier__module__units": [3, 5]
    }


@row(data.floats32_numbers, unseeded="the module draws from torch's generator")
def skorch_regressor():
    from skorch import NeuralNetRegressor
    from torch import nn

    return NeuralNetRegressor(
        nn.Linear,
        module__in_features=4,
        module__out_features=1,
        max_epochs=2,
        verbose=0,
        train_split=None,
    ), {"lr": [0.01, 0.1], "module__bias": [True, False]}


@row(data.floats32)
def skorch_with_validation():
    from own_torch import net
    from skorch.dataset import ValidSplit

    return net(train_split=ValidSplit(3)), {"batch_size": [16, 128]}


@row(data.floats32, refused_by_file=OBJECTS)
def functions_of_torch_in_the_grid():
    import torch
    from own_torch import net

    return net(), {"module__activation": [torch.relu, torch.tanh]}


@row(data.floats32, refused_by_file=OBJECTS)
def lambdas_for_modules():
    import torch
    from own_torch import net

    return net(module__activation=lambda X: torch.relu(X) - 1), {
        "module__activation": [lambda X: X * 0.5, lambda X: torch.sin(X)]
    }


@row(data.floats32)
def lambda_of_the_module():
    import torch
    from own_torch import net

    return net(module__activation=lambda X: torch.relu(X) - 1), {"lr": [0.01, 0.1]}


@row(data.floats32, refused_by_file=OBJECTS)
def modules_in_the_grid():
    from own_torch import Deep, Net, Tied, net

    return net(), {"module": [Net, Deep, Tied], "module__units": [3, 5]}


@row(data.floats32)
def default_instance_of_a_module():
    from own_torch import WithModule, net

    return net(WithModule), {"module": [WithModule], "module__units": [4, 8]}


@row(data.floats32, refused_by_file=OBJECTS)
def instances_of_modules_in_the_grid():
    from own_torch import WithModule, net
    from torch import nn

    return net(WithModule), {
        "module__activation": [nn.ReLU(), nn.Tanh(), nn.LeakyReLU(0.5)]
    }


@row(data.floats32, refused_by_file=OBJECTS)
def lists_of_modules_in_the_grid():
    from own_torch import WithModule, net
    from torch import nn

    return net(WithModule), {"module__layers": [[nn.ReLU()], [nn.Tanh(), nn.ReLU()]]}


@row(data.floats32)
def initialised_module():
    from own_torch import Net, net

    return net(Net(5)), {"lr": [0.01, 0.1]}


@row(data.floats32, refused_by_file=OBJECTS)
def optimizers_and_losses():
    import torch
    from own_torch import OwnLoss, net

    return net(), [
        {"optimizer": [torch.optim.SGD, torch.optim.Adam]},
        {"criterion": [OwnLoss], "criterion__sharpness": [1.0, 3.0]},
        {"optimizer": [torch.optim.SGD], "optimizer__momentum": [0.5, 0.9]},
    ]


@row(data.floats32)
def criterion_with_tensor():
    import torch
    from own_torch import net

    return net(criterion__weight=torch.tensor([1.0, 5.0])), {"lr": [0.01, 0.1]}


@row(data.floats32, refused_by_file=OBJECTS)
def tensors_in_the_grid():
    import torch
    from own_torch import net

    return net(), {
        "criterion__weight": [torch.tensor([1.0, 5.0]), torch.tensor([5.0, 1.0])]
    }


@row(data.floats32, refused_by_file=OBJECTS)
def callbacks_in_the_grid():
    from own_torch import Slower, net
    from skorch.callbacks import LRScheduler

    return net(), {
        "callbacks": [
            None,
            [Slower(0.1)],
            [("rate", LRScheduler("StepLR", step_size=1))],
        ]
    }


@row(data.floats32, fits_again=CALLBACKS)
def callbacks_switched_off():
    from own_torch import net
    from skorch.callbacks import EarlyStopping

    return net(callbacks=[("stop", EarlyStopping("train_loss", patience=2))]), {
        "callbacks__stop": [None],
        "lr": [0.01, 0.1],
    }


@row(data.floats32, fits_again=CALLBACKS)
def params_of_callbacks():
    from own_torch import Slower, net

    return net(callbacks=[("slow", Slower())]), {"callbacks__slow__factor": [0.1, 1.0]}


@row(data.floats32, fits_again=CALLBACKS)
def early_stopping_that_loads_the_best():
    from own_torch import net
    from skorch.callbacks import EarlyStopping
    from skorch.dataset import ValidSplit

    return net(
        train_split=ValidSplit(3),
        max_epochs=4,
        callbacks=[("stop", EarlyStopping(patience=1, load_best=True))],
    ), {"lr": [0.5, 5.0]}


@row(data.floats32, refused_by_file=OBJECTS)
def enums_of_modules():
    from own_torch import ByEnum, Way, net

    return net(ByEnum), {"module__way": list(Way)}


@row(data.floats32)
def params_of_modules_with_names_of_neutral_ones():
    from own_torch import ByEnum, net

    return net(ByEnum), {"module__memory": [0.1, 10.0]}


@row(data.floats32)
def own_subclass_of_net():
    from own_torch import Net, OwnNet
    from torch import nn

    return OwnNet(
        Net, criterion=nn.CrossEntropyLoss, max_epochs=2, verbose=0, train_split=None
    ), {"penalty": [0.0, 1.0]}


@row(data.floats32_words)
def one_vs_rest_over_nets():
    from own_torch import net

    return OneVsRestClassifier(net()), {"estimator__module__units": [3, 5]}


@row(data.floats32)
def bagging_of_nets():
    from own_torch import net

    return BaggingClassifier(net(), n_estimators=2, random_state=0), {
        "estimator__module__units": [3, 5]
    }


@row(data.floats32)
def voting_over_nets():
    from own_torch import net

    return VotingClassifier(
        [("a", net()), ("b", make_pipeline(StandardScaler(), net()))], voting="soft"
    ), {"a__module__units": [3, 5], "b": ["drop", GaussianNB()]}


@row(data.floats32)
def stacking_over_nets():
    from own_torch import net

    return StackingClassifier([("a", net()), ("b", GaussianNB())], cv=2), {
        "a__lr": [0.01, 0.1],
        "final_estimator": [LogisticRegression(), GaussianNB()],
    }


@row(data.floats32)
def calibrated_nets():
    from own_torch import net

    return CalibratedClassifierCV(make_pipeline(StandardScaler(), net()), cv=2), {
        "estimator__neuralnetclassifier__module__units": [3, 5]
    }


@row(data.floats32)
def threshold_of_a_net():
    from own_torch import net
    from torch import nn

    return FixedThresholdClassifier(net(predict_nonlinearity=nn.Softmax(-1))), {
        "threshold": [0.3, 0.7]
    }


@row(data.iris_two_classes, scoring=lambda e, X, y: float((e.predict(X) == y).mean()))
def nets_of_two_outputs():
    from own_torch import net

    return make_pipeline(single, MultiOutputClassifier(net(module__outputs=3))), {
        "multioutputclassifier__estimator__module__units": [3, 5]
    }


@row(data.floats32_numbers)
def transformed_target_of_a_net():
    from own_torch import Line
    from skorch import NeuralNetRegressor

    return TransformedTargetRegressor(
        make_pipeline(
            StandardScaler(),
            NeuralNetRegressor(
                Line,
                max_epochs=2,
                verbose=0,
                train_split=None,
            ),
        ),
        func=lambda y: y.astype("float32") / 2,
        inverse_func=lambda y: y * 2,
    ), {"regressor__neuralnetregressor__lr": [0.01, 0.1]}


@row(data.floats32, refused_by_file=OBJECTS)
def nets_and_others_by_turns():
    from own_torch import Deep, net

    return Pipeline([("scale", StandardScaler()), ("model", net())]), [
        {"model": [net(Deep), GaussianNB()]},
        {"model__module__units": [3], "scale": ["passthrough", StandardScaler()]},
    ]


@row(data.floats32, n_jobs=2)
def nets_with_two_workers():
    from own_torch import Tied, net

    return net(Tied), {"module__units": [3, 5]}


@row(data.floats32, refit=False, capture="splits")
def splits_of_nets():
    from own_torch import net

    return net(), {"lr": [0.01, 0.1]}


@row(data.floats32)
def nets_that_go_on():
    from own_torch import net

    return net(warm_start=True), {"lr": [0.01, 0.1]}


@row(data.floats32, search="random", n_iter=3, random_state=0)
def randomized_nets():
    from own_torch import net
    from scipy.stats import loguniform, randint

    return net(), {"lr": loguniform(1e-3, 1), "module__units": randint(2, 6)}

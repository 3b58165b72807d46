"""Weights of torch modules and skorch nets: names, bits, ties, what is left out."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import ParameterGrid
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

torch = pytest.importorskip("torch")
skorch = pytest.importorskip("skorch")

from torch import nn  # noqa: E402

from weightsearch.exceptions import UnstorableWeightsWarning  # noqa: E402
from weightsearch.frameworks._registry import extract_weights  # noqa: E402
from weightsearch.frameworks.torch import (  # noqa: E402
    EXTRACTORS,
    extract_module,
    extract_skorch,
)

# torch.compile imports what torch itself calls deprecated.
importing_the_compiler = pytest.mark.filterwarnings(
    "ignore:.torch.jit:DeprecationWarning"
)


class Mlp(nn.Module):
    def __init__(self, n_in=64, hidden=8, n_out=10):
        super().__init__()
        self.fc1 = nn.Linear(n_in, hidden)
        self.norm = nn.BatchNorm1d(hidden)
        self.fc2 = nn.Linear(hidden, n_out)

    def forward(self, X):
        return self.fc2(torch.relu(self.norm(self.fc1(X))))


class Flat(Mlp):
    def forward(self, X):
        return super().forward(X).squeeze(-1)


@pytest.fixture(scope="module")
def digits():
    X, y = load_digits(return_X_y=True)
    return (X[:300] / 16).astype(np.float32), y[:300]


def net_of(cls, module, **params):
    torch.manual_seed(0)
    defaults = {"max_epochs": 2, "train_split": None, "verbose": 0, "lr": 0.1}
    return cls(module, **{**defaults, **params})


def classifier(**params):
    # NLLLoss on raw scores trains badly, which no test here minds.
    return net_of(
        skorch.NeuralNetClassifier, Mlp, criterion=nn.CrossEntropyLoss, **params
    )


def assert_same_bits(weights, state):
    """Compare with torch's own state dict, bit for bit, names and order too."""
    assert list(weights) == list(state)
    for name, tensor in state.items():
        assert weights[name].shape == tuple(tensor.shape)
        assert weights[name].tobytes() == tensor.numpy().tobytes()
        assert weights[name].dtype == tensor.numpy().dtype


def test_classifier_gives_every_entry_of_the_state_dict(digits):
    """Parameters and buffers come under torch's names, in order, bit for bit."""
    net = classifier().fit(*digits)
    weights = extract_weights(net)
    assert_same_bits(weights, net.module_.state_dict())
    assert weights["norm.num_batches_tracked"].dtype == np.int64
    assert weights["fc1.weight"].shape == (8, 64)


def test_regressor_and_binary_classifier():
    """The other two estimators of skorch have the same names."""
    X, y = load_diabetes(return_X_y=True)
    regressor = net_of(skorch.NeuralNetRegressor, Mlp, module__n_in=10, module__n_out=1)
    regressor.fit(X.astype(np.float32), y[:, None].astype(np.float32))
    assert_same_bits(extract_weights(regressor), regressor.module_.state_dict())

    X, y = load_breast_cancer(return_X_y=True)
    X = StandardScaler().fit_transform(X).astype(np.float32)
    binary = net_of(
        skorch.NeuralNetBinaryClassifier, Flat, module__n_in=30, module__n_out=1
    )
    binary.fit(X, y.astype(np.float32))
    assert_same_bits(extract_weights(binary), binary.module_.state_dict())


def test_plain_net_that_was_only_initialized():
    """A net that skorch calls initialized has weights before any epoch."""
    net = net_of(skorch.NeuralNet, Mlp, criterion=nn.MSELoss).initialize()
    assert_same_bits(extract_weights(net), net.module_.state_dict())


def test_candidates_of_a_grid_have_equal_names_and_shapes_of_their_params(digits):
    """Refits of a grid's candidates differ in shapes, not in names."""
    found = []
    for params in ParameterGrid({"module__hidden": [4, 6], "lr": [0.01]}):
        net = clone(classifier()).set_params(**params).fit(*digits)
        found.append(extract_weights(net))
    assert list(found[0]) == list(found[1])
    assert [weights["fc1.bias"].shape for weights in found] == [(4,), (6,)]


def test_net_in_a_pipeline(digits):
    """The step's name comes first."""
    X, y = digits
    float32 = StandardScaler().set_output(transform="default")
    pipeline = make_pipeline(float32, classifier()).fit(X, y)
    net = pipeline[-1]
    weights = extract_weights(pipeline)
    for name, tensor in net.module_.state_dict().items():
        np.testing.assert_array_equal(
            weights[f"neuralnetclassifier/{name}"], tensor.numpy()
        )


def test_unfitted_net_raises():
    """A net without a module is not fitted."""
    with pytest.raises(NotFittedError, match=r"NeuralNetClassifier.*not fitted"):
        extract_skorch(classifier())


def test_extractors_name_the_classes_as_they_are():
    """The registry finds both classes under their qualified names."""
    for cls in (skorch.NeuralNet, nn.Module):
        assert f"{cls.__module__}.{cls.__qualname__}" in EXTRACTORS


def test_tied_weights_are_kept_once():
    """The second name of one parameter is noted as a tie."""

    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding = nn.Embedding(7, 3)
            self.head = nn.Linear(3, 7)
            self.head.weight = self.embedding.weight

    weights = extract_module(Tied())
    assert list(weights) == ["embedding.weight", "head.bias"]
    assert weights.ties == {"head.weight": "embedding.weight"}


SQUARE = torch.arange(4.0).reshape(2, 2)
COMPLEX = torch.tensor([1 + 2j, 3 - 4j])


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (SQUARE[0], SQUARE[1]),
        (SQUARE[0], SQUARE[0, :1]),
        (SQUARE, SQUARE.t()),
        (SQUARE, SQUARE.view(torch.int32)),
        (COMPLEX, COMPLEX.conj()),
        (COMPLEX.imag, COMPLEX.conj().imag),
        (SQUARE[:0], SQUARE[:0]),
    ],
    ids=["place", "shape", "strides", "type", "conjugated", "negated", "empty"],
)
def test_other_views_of_one_block_are_no_ties(one, other):
    """Tensors that share memory but not every number are two weights."""
    module = nn.Module()
    module.register_buffer("one", one)
    module.register_buffer("other", other)
    weights = extract_module(module)
    assert not weights.ties
    assert weights["one"].tolist() == one.tolist()
    assert weights["other"].tolist() == other.tolist()


def test_memory_order_stays():
    """A transposed tensor gives an array in Fortran order."""
    module = nn.Module()
    module.register_buffer("w", torch.arange(6.0).reshape(2, 3).t())
    array = extract_module(module)["w"]
    assert array.flags.f_contiguous
    np.testing.assert_array_equal(array, module.w.numpy())


def test_arrays_share_memory_with_the_module():
    """No copy is made of a tensor in host memory."""
    module = nn.Linear(2, 2)
    weights = extract_module(module)
    with torch.no_grad():
        module.weight.fill_(3.0)
    assert (weights["weight"] == 3.0).all()


@pytest.mark.parametrize(
    "name",
    [
        "bfloat16",
        "float8_e4m3fn",
        "float8_e4m3fnuz",
        "float8_e5m2",
        "float8_e5m2fnuz",
        "float8_e8m0fnu",
    ],
)
def test_low_precision_keeps_every_bit(name):
    """All bit patterns of bfloat16 and float8 come through under the true type."""
    ml_dtypes = pytest.importorskip("ml_dtypes")
    dtype = getattr(torch, name, None)
    if dtype is None:
        pytest.skip(f"this torch has no {name}")
    bits = np.arange(2**16 if name == "bfloat16" else 2**8)
    bits = bits.astype(np.uint16 if name == "bfloat16" else np.uint8).reshape(16, -1)
    signed = torch.from_numpy(bits.view(f"int{8 * bits.itemsize}"))
    module = nn.Module()
    module.register_buffer("w", signed.view(dtype).t())
    array = extract_module(module)["w"]
    assert array.dtype == np.dtype(getattr(ml_dtypes, name))
    assert array.flags.f_contiguous
    np.testing.assert_array_equal(array.view(bits.dtype), bits.T)


def test_without_ml_dtypes_the_bits_are_kept_with_a_warning(monkeypatch):
    """Raw unsigned integers stand for bfloat16 where its numpy type is missing."""
    monkeypatch.setitem(sys.modules, "ml_dtypes", None)
    module = nn.Linear(3, 2).to(torch.bfloat16)
    with pytest.warns(UnstorableWeightsWarning, match="bfloat16.*install ml_dtypes"):
        weights = extract_module(module)
    assert weights["weight"].dtype == np.uint16
    expected = module.weight.detach().view(torch.int16).numpy()
    np.testing.assert_array_equal(weights["weight"].view(np.int16), expected)


@pytest.mark.parametrize(
    "tensor",
    [
        torch.tensor([1 + 2j, 3 - 4j]).conj(),
        torch.tensor([1 + 2j, 3 - 4j]).conj().imag,
        torch.tensor([True, False]),
        torch.tensor([1.5, 2.5], dtype=torch.float16),
        torch.tensor(3.0, dtype=torch.float64),
        torch.ones(1).expand(4),
    ],
    ids=["conjugated", "negated", "bool", "float16", "scalar", "expanded"],
)
def test_value_of_unusual_tensors(tensor):
    """What torch computes lazily or lays out oddly has its value and type."""
    module = nn.Module()
    module.register_buffer("w", tensor)
    array = extract_module(module)["w"]
    assert array.tolist() == tensor.tolist()
    assert str(array.dtype) == str(tensor.dtype).removeprefix("torch.")


class WithExtraState(nn.Linear):
    def get_extra_state(self):
        return {"seen": 3}

    def set_extra_state(self, state):
        pass


def quantised():
    return torch.quantize_per_tensor(torch.ones(2), 0.1, 0, torch.qint8)


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: torch.eye(3).to_sparse(), "Sparse"),
        (quantised, "QInt8"),
        (lambda: torch.ones(2, device="meta"), "meta"),
        (lambda: torch.zeros(2, dtype=torch.complex32), "ComplexHalf"),
    ],
    ids=["sparse", "quantised", "meta", "complex32"],
)
@pytest.mark.filterwarnings("ignore:.*(quantiz|ComplexHalf|deprecated).*")
def test_what_numpy_cannot_hold_is_left_out(make, reason):
    """Such a tensor is named in a warning, and the others are there."""
    module = nn.Linear(2, 1)
    module.register_buffer("odd", make())
    with pytest.warns(UnstorableWeightsWarning, match=f"odd.*{reason}"):
        weights = extract_module(module)
    assert list(weights) == ["weight", "bias"]


def test_extra_state_is_left_out():
    """What is no tensor could only be stored by pickle, so it is not."""
    with pytest.warns(UnstorableWeightsWarning, match=r"_extra_state.*dict"):
        weights = extract_module(WithExtraState(2, 1))
    assert list(weights) == ["weight", "bias"]


@pytest.mark.filterwarnings("ignore:Lazy modules are a new feature")
def test_lazy_module_without_a_batch_is_left_out():
    """A lazy layer has no numbers until it has seen data."""
    module = nn.Sequential(nn.LazyLinear(2), nn.Linear(2, 1))
    with pytest.warns(UnstorableWeightsWarning, match="has not seen a batch"):
        weights = extract_module(module)
    assert list(weights) == ["1.weight", "1.bias"]
    module(torch.ones(1, 3))
    assert next(iter(extract_module(module))) == "0.weight"


@importing_the_compiler
def test_wrapped_modules_have_plain_names():
    """Compiled and data-parallel modules are named as what they wrap."""
    plain = Mlp()
    names = list(plain.state_dict())
    assert list(extract_module(torch.compile(plain))) == names
    assert list(extract_module(nn.DataParallel(plain))) == names
    assert list(extract_module(torch.compile(nn.DataParallel(plain)))) == names


@importing_the_compiler
def test_compiled_part_of_a_module_has_plain_names():
    """Compiling a submodule, and one inside that, leaves the names as they are."""
    plain = nn.Sequential(nn.Sequential(nn.Linear(2, 2)), nn.Linear(2, 1))
    names = list(plain.state_dict())
    plain[0][0] = torch.compile(plain[0][0])
    plain[0] = torch.compile(plain[0])
    assert any("_orig_mod" in name for name in plain.state_dict())
    assert list(extract_module(plain)) == names


def test_users_attribute_called_orig_mod_keeps_its_name():
    """Only what torch.compile made loses the prefix."""
    module = nn.Module()
    module._orig_mod = nn.Linear(2, 1)
    assert list(extract_module(module)) == ["_orig_mod.weight", "_orig_mod.bias"]


@importing_the_compiler
def test_net_with_compile_has_plain_names():
    """Names of a net with ``compile=True`` are those of the plain module."""
    net = classifier(compile=True).initialize()
    assert list(extract_skorch(net)) == list(Mlp().state_dict())


def test_parametrised_module_keeps_torchs_names():
    """A weight norm is stored as the parameters that torch trains."""
    module = nn.utils.parametrizations.weight_norm(nn.Linear(3, 2))
    weights = extract_module(module)
    assert_same_bits(weights, module.state_dict())
    assert "parametrizations.weight.original0" in weights


def test_criterion_with_weights_of_its_own(digits):
    """Class weights of a loss are kept beside the module's."""
    net = classifier(criterion__weight=torch.arange(1.0, 11.0)).fit(*digits)
    weights = extract_weights(net)
    assert weights["criterion_/weight"].tolist() == list(range(1, 11))
    assert list(weights)[:-1] == list(net.module_.state_dict())


def test_criterion_that_holds_the_module_is_tied_to_it():
    """A loss that regularises the module adds no second copy of it."""

    class Penalised(nn.MSELoss):
        def __init__(self, module):
            super().__init__()
            self.module = module

    class Net(skorch.NeuralNetRegressor):
        def initialize_criterion(self):
            self.criterion_ = Penalised(self.module_)
            return self

    net = net_of(Net, Mlp).initialize()
    weights = extract_weights(net)
    assert list(weights) == list(net.module_.state_dict())
    assert weights.ties["criterion_/module.fc1.weight"] == "fc1.weight"


def test_net_of_several_modules():
    """Modules other than ``module_`` have their attribute's name in front."""

    class Gan(skorch.NeuralNet):
        def __init__(self, *args, generator, **kwargs):
            self.generator = generator
            super().__init__(*args, **kwargs)

        def initialize_module(self):
            super().initialize_module()
            self.generator_ = self.generator(2, 3)
            return self

    net = net_of(Gan, Mlp, criterion=nn.MSELoss, generator=nn.Linear).initialize()
    names = list(extract_weights(net))
    assert names[:-2] == list(net.module_.state_dict())
    assert names[-2:] == ["generator_/weight", "generator_/bias"]


def test_net_trimmed_for_prediction(digits):
    """A net without its criterion still has its module."""
    net = classifier().fit(*digits)
    expected = list(extract_weights(net))
    net.trim_for_prediction()
    assert list(extract_weights(net)) == expected


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an accelerator")
def test_tensors_on_an_accelerator_are_copied_to_the_host():
    """Weights on a device come as arrays in host memory, ties included."""
    module = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2)).cuda()
    module[1].weight = module[0].weight
    weights = extract_module(module)
    np.testing.assert_array_equal(
        weights["0.weight"], module[0].weight.detach().cpu().numpy()
    )
    assert weights.ties == {"1.weight": "0.weight"}

"""Update rules against their formulas in NumPy, and what YAML may say of them."""

from __future__ import annotations

import numpy as np
import paddle
import pytest

from ppcls.errors import ConfigError
from ppcls.registry import create, names, parse

STEPS = 5
RNG = np.random.default_rng(0)
START = {"weight": RNG.normal(0, 1, [3, 4]), "bias": RNG.normal(0, 1, [4])}
GRADIENTS = [
    {name: RNG.normal(0, 1, value.shape) for name, value in START.items()} for _ in "12345"
]
RATES = [0.1 * (1 - step / 10) for step in range(STEPS)]
LR = {"name": "Linear", "learning_rate": 0.1, "end_lr": 0.0}


def trained(name, **arguments):
    """Return the parameters after five steps with given gradients and a falling rate."""
    model = paddle.nn.Linear(3, 4)
    for key, value in START.items():
        getattr(model, key).set_value(value.astype("float32"))
    optimizer = create(
        "optimizer", name, {"lr": LR, **arguments}, model=model, epochs=2, steps_per_epoch=5
    )
    for step, gradients in enumerate(GRADIENTS):
        optimizer.set_step(step)
        assert optimizer.inner.get_lr() == pytest.approx(RATES[step])
        loss = sum(
            (getattr(model, key) * paddle.to_tensor(gradients[key].astype("float32"))).sum()
            for key in START
        )
        loss.backward()
        optimizer.step()
        optimizer.clear_grad()
    return {key: getattr(model, key).numpy() for key in START}


def expected(rule, penalty=lambda key, p: 0.0, clip=lambda gradients: gradients):
    """Return what the formula gives: clip, add the penalty's gradient, apply `rule`."""
    result, memory = {key: value.copy() for key, value in START.items()}, {key: {} for key in START}
    for step, gradients in enumerate(GRADIENTS):
        clipped = clip(gradients)
        for key, p in result.items():
            result[key] = rule(
                p, clipped[key] + penalty(key, p), RATES[step], memory[key], step + 1
            )
    return result


def close(got, wanted):
    for key, value in wanted.items():
        np.testing.assert_allclose(got[key], value, rtol=2e-5, atol=2e-6)


def sgd(p, g, lr, memory, t):
    return p - lr * g


def momentum(mu, nesterov=False):
    def rule(p, g, lr, memory, t):
        memory["v"] = mu * memory.get("v", 0) + g
        return p - lr * (g + mu * memory["v"] if nesterov else memory["v"])

    return rule


def adam(beta1=0.9, beta2=0.999, epsilon=1e-8, decay=0.0):
    def rule(p, g, lr, memory, t):
        memory["m"] = beta1 * memory.get("m", 0) + (1 - beta1) * g
        memory["v"] = beta2 * memory.get("v", 0) + (1 - beta2) * g**2
        m, v = memory["m"] / (1 - beta1**t), memory["v"] / (1 - beta2**t)
        return p * (1 - lr * decay) - lr * m / (np.sqrt(v) + epsilon)

    return rule


def lamb(beta1=0.9, beta2=0.999, epsilon=1e-6, decay=0.01, always=False):
    def rule(p, g, lr, memory, t):
        memory["m"] = beta1 * memory.get("m", 0) + (1 - beta1) * g
        memory["v"] = beta2 * memory.get("v", 0) + (1 - beta2) * g**2
        m, v = memory["m"] / (1 - beta1**t), memory["v"] / (1 - beta2**t)
        r = m / (np.sqrt(v) + epsilon) + decay * p
        ratio = np.linalg.norm(p) / np.linalg.norm(r) if decay or always else 1.0
        return p - lr * ratio * r

    return rule


def lion(beta1=0.9, beta2=0.99, decay=0.0):
    def rule(p, g, lr, memory, t):
        m = memory.get("m", 0 * g)
        memory["m"] = beta2 * m + (1 - beta2) * g
        return p - lr * (np.sign(beta1 * m + (1 - beta1) * g) + decay * p)

    return rule


def rmsprop(rho, epsilon, mu=0.0, centered=False):
    def rule(p, g, lr, memory, t):
        memory["s"] = rho * memory.get("s", 0) + (1 - rho) * g**2
        memory["a"] = rho * memory.get("a", 0) + (1 - rho) * g
        spread = memory["s"] - memory["a"] ** 2 if centered else memory["s"]
        memory["v"] = mu * memory.get("v", 0) + lr * g / np.sqrt(spread + epsilon)
        return p - memory["v"]

    return rule


RULES = [
    ("SGD", {}, sgd),
    ("Momentum", {}, momentum(0.9)),
    ("Momentum", {"momentum": 0.5, "use_nesterov": True}, momentum(0.5, nesterov=True)),
    ("Adam", {}, adam()),
    ("Adam", {"beta1": 0.5, "beta2": 0.9, "epsilon": 0.1}, adam(0.5, 0.9, 0.1)),
    ("AdamW", {}, adam(decay=0.01)),
    ("AdamW", {"weight_decay": 0.5, "beta1": 0.8}, adam(0.8, decay=0.5)),
    ("Lamb", {}, lamb()),
    ("Lamb", {"weight_decay": 0.3, "beta1": 0.8, "epsilon": 0.1}, lamb(0.8, 0.999, 0.1, 0.3)),
    ("Lamb", {"weight_decay": 0.0}, lamb(decay=0.0)),
    ("Lamb", {"weight_decay": 0.0, "always_adapt": True}, lamb(decay=0.0, always=True)),
    ("Lion", {}, lion()),
    ("Lion", {"beta1": 0.8, "beta2": 0.9, "weight_decay": 0.5}, lion(0.8, 0.9, 0.5)),
    # The layer is the last one, whose rule is AdamW's; see below for the others.
    ("Muon", {}, adam(decay=0.01)),
    ("Muon", {"beta1": 0.5, "beta2": 0.9, "weight_decay": 0.5}, adam(0.5, 0.9, decay=0.5)),
    ("RMSProp", {}, rmsprop(0.95, 1e-6)),
    ("RMSProp", {"rho": 0.9, "epsilon": 0.1, "momentum": 0.9}, rmsprop(0.9, 0.1, 0.9)),
    ("RMSProp", {"epsilon": 0.1, "centered": True}, rmsprop(0.95, 0.1, centered=True)),
]
COUPLED = [row for row in RULES if row[0] not in ("AdamW", "Lamb", "Lion", "Muon")]


def test_every_rule_is_compared():
    assert {row[0] for row in RULES} == set(names("optimizer"))


@pytest.mark.parametrize("name, arguments, rule", RULES)
def test_five_steps(name, arguments, rule):
    close(trained(name, **arguments), expected(rule))


@pytest.mark.parametrize("name, arguments, rule", COUPLED)
@pytest.mark.parametrize(
    "penalty, gradient",
    [
        ({"weight_decay": 0.3}, lambda p: 0.3 * p),
        ({"regularizer": {"name": "L2", "coeff": 0.3}}, lambda p: 0.3 * p),
        ({"regularizer": {"L1": {"coeff": 0.3}}}, lambda p: 0.3 * np.sign(p)),
    ],
    ids=["weight_decay", "L2", "L1"],
)
def test_penalties(name, arguments, rule, penalty, gradient):
    close(trained(name, **arguments, **penalty), expected(rule, lambda key, p: gradient(p)))


@pytest.mark.parametrize("name, arguments, rule", COUPLED)
@pytest.mark.parametrize("penalty", ["L1", "L2"])
@pytest.mark.parametrize(
    "exemption",
    [
        {"one_dim_param_no_weight_decay": True},
        {"no_weight_decay_name": "nothing bias"},
        {"no_weight_decay_name": ["bias"]},
    ],
    ids=["one_dim", "text", "list"],
)
def test_exempt_parameters_do_not_decay(name, arguments, rule, penalty, exemption):
    def gradient(key, p):
        return (0.3 * p if penalty == "L2" else 0.3 * np.sign(p)) if key == "weight" else 0.0

    written = {"regularizer": {"name": penalty, "coeff": 0.3}, **exemption}
    close(trained(name, **arguments, **written), expected(rule, gradient))


def test_exempt_parameters_do_not_decay_under_adamw():
    got = trained("AdamW", weight_decay=0.5, one_dim_param_no_weight_decay=True)
    np.testing.assert_allclose(got["weight"], expected(adam(decay=0.5))["weight"], rtol=2e-5)
    np.testing.assert_allclose(got["bias"], expected(adam())["bias"], rtol=2e-5)


@pytest.mark.parametrize("name, rule", [("Lion", lion), ("Muon", adam)])
def test_exempt_parameters_do_not_decay_under_rules_with_their_own(name, rule):
    got = trained(name, weight_decay=0.5, one_dim_param_no_weight_decay=True)
    np.testing.assert_allclose(got["weight"], expected(rule(decay=0.5))["weight"], rtol=2e-5)
    np.testing.assert_allclose(got["bias"], expected(rule())["bias"], rtol=2e-5)


def network_of(shapes):
    """A network with the weights of convolutions, and a head."""
    model = paddle.nn.Layer()
    for number, (channels_out, channels_in, groups) in enumerate(shapes):
        conv = paddle.nn.Conv2D(channels_in, channels_out, 3, groups=groups)
        model.add_sublayer(f"conv{number}", conv)
    model.head = paddle.nn.Linear(4, 2)
    return model


def stepped(model, name, gradients, **arguments):
    """Return what one step with given gradients adds to each parameter."""
    lr = {"name": "Constant", "learning_rate": 0.1}
    optimizer = create(
        "optimizer", name, {"lr": lr, **arguments}, model=model, epochs=1, steps_per_epoch=1
    )
    before = {key: one.numpy().copy() for key, one in model.named_parameters()}
    loss = sum(
        (one * paddle.to_tensor(gradients[key])).sum() for key, one in model.named_parameters()
    )
    loss.backward()
    optimizer.step()
    return {key: one.numpy() - before[key] for key, one in model.named_parameters()}


def drawn_like(model):
    draw = np.random.default_rng(1)
    return {
        key: draw.normal(0, 1, one.shape).astype("float32") for key, one in model.named_parameters()
    }


def test_muon_steps_by_the_orthogonal_part_of_matrices():
    model = network_of([(8, 2, 1), (40, 2, 1), (6, 6, 3)])
    gradients = drawn_like(model)
    added = stepped(model, "Muon", gradients, weight_decay=0.0)
    for name in ("conv0.weight", "conv1.weight"):  # wide, and tall: 8 x 18, 40 x 18
        matrix = gradients[name].reshape(len(gradients[name]), -1).astype("float64")
        u, s, vt = np.linalg.svd(matrix, full_matrices=False)
        exact = -0.1 * 0.2 * max(matrix.shape) ** 0.5 * (u @ vt)
        got = added[name].reshape(matrix.shape)
        cosine = (got * exact).sum() / np.linalg.norm(got) / np.linalg.norm(exact)
        assert cosine > 0.97 and 0.7 < np.linalg.norm(got) / np.linalg.norm(exact) < 1.2
    # AdamW's first step is the rate times the gradient's sign.
    for name in ("conv0.bias", "conv2.weight", "head.weight", "head.bias"):
        np.testing.assert_allclose(added[name], -0.1 * np.sign(gradients[name]), rtol=1e-4)


def test_muon_multiplies_what_decays():
    model = network_of([(8, 2, 1)])
    start = {key: one.numpy().copy() for key, one in model.named_parameters()}
    gradients = {key: 0 * value for key, value in start.items()}
    added = stepped(model, "Muon", gradients, weight_decay=0.5)
    for key, value in start.items():
        np.testing.assert_allclose(added[key], -0.05 * value, rtol=1e-4, atol=1e-7)


def test_adaptive_clipping_is_of_each_unit_and_not_of_the_last_layer():
    model = network_of([(8, 2, 1)])
    model.add_sublayer("inner", paddle.nn.Linear(5, 3))
    gradients = drawn_like(model)
    start = {key: one.numpy().copy() for key, one in model.named_parameters()}
    added = stepped(model, "SGD", gradients, clip_adaptive=0.02)
    axes = {"conv0.weight": (1, 2, 3), "conv0.bias": (0,), "inner.weight": 0, "inner.bias": (0,)}
    for key, over in axes.items():
        weights, slopes = (
            np.sqrt((one[key] ** 2).sum(axis=over, keepdims=True)) for one in (start, gradients)
        )
        scale = np.minimum(1, 0.02 * np.maximum(weights, 1e-3) / slopes)
        assert scale.max() < 1
        np.testing.assert_allclose(added[key], -0.1 * scale * gradients[key], rtol=2e-3, atol=1e-7)
    np.testing.assert_allclose(added["head.weight"], -0.1 * gradients["head.weight"], rtol=1e-4)
    small = {key: 1e-4 * value for key, value in gradients.items()}
    added = stepped(network_of([(8, 2, 1)]), "SGD", small, clip_adaptive=0.02)
    np.testing.assert_allclose(added["conv0.weight"], -0.1 * small["conv0.weight"], atol=5e-8)


def by_norm(gradients, limit=0.7):
    sizes = {key: np.linalg.norm(g) for key, g in gradients.items()}
    return {key: g * min(1, limit / sizes[key]) for key, g in gradients.items()}


def by_global_norm(gradients, limit=0.7):
    size = np.sqrt(sum((g**2).sum() for g in gradients.values()))
    return {key: g * min(1, limit / size) for key, g in gradients.items()}


def by_value(gradients, limit=0.7):
    return {key: np.clip(g, -limit, limit) for key, g in gradients.items()}


@pytest.mark.parametrize(
    "key, clip",
    [("clip_norm", by_norm), ("clip_norm_global", by_global_norm), ("clip_value", by_value)],
)
@pytest.mark.parametrize(
    "name, rule", [("SGD", sgd), ("Momentum", momentum(0.9)), ("Adam", adam())]
)
def test_clipping_comes_before_the_penalty(key, clip, name, rule):
    got = trained(name, weight_decay=0.3, one_dim_param_no_weight_decay=True, **{key: 0.7})
    close(got, expected(rule, lambda key, p: 0.3 * p if key == "weight" else 0.0, clip))


@pytest.mark.parametrize(
    "written, rate",
    [
        (0.25, 0.25),
        (1, 1.0),
        ({"learning_rate": 0.5}, 0.5),
        ({"Constant": {"learning_rate": 0.5}}, 0.5),
    ],
)
def test_a_bare_rate_is_constant(written, rate):
    optimizer = create("optimizer", "SGD", {"lr": written}, model=paddle.nn.Linear(2, 2))
    assert (
        optimizer.schedule.at(0) == optimizer.schedule.at(1000) == optimizer.inner.get_lr() == rate
    )


@pytest.mark.parametrize(
    "name, arguments, message",
    [
        ("Momentum", {"weight_decay": 0.1, "regularizer": {"L2": {"coeff": 0.1}}}, "keep one"),
        ("SGD", {"clip_norm": 1.0, "clip_value": 1.0}, "one of clip_norm and clip_value"),
        ("SGD", {"clip_norm_global": 0.0}, "clip_norm_global: must be greater than 0"),
        ("SGD", {"weight_decay": -1.0}, "weight_decay.*greater than or equal to 0"),
        ("Momentum", {"momentum": 1.5}, "momentum: must be less than 1, got 1.5"),
        ("Adam", {"beta2": 1.0}, "beta2: must be less than 1"),
        ("RMSProp", {"rho": -0.1}, "rho: must be greater than or equal to 0"),
        ("Adam", {"epsilon": -1.0}, "epsilon: must be greater than or equal to 0"),
        ("AdamW", {"regularizer": {"L2": {"coeff": 0.1}}}, "unknown key 'regularizer'"),
        ("Momentum", {"momemtum": 0.9}, "Did you mean 'momentum'"),
        ("SGD", {"model": 3}, "unknown key 'model'"),
        ("SGD", {"regularizer": {"L2": {}}}, "regularizer.L2.coeff: required"),
        ("SGD", {"regularizer": {"L2": {"coeff": -1.0}}}, "greater than or equal to 0"),
        ("SGD", {"lr": {"name": "Cosin"}}, "Did you mean 'Cosine'"),
        ("SGD", {"lr": "fast"}, "unknown schedule 'fast'"),
    ],
)
def test_mistakes_are_named(name, arguments, message):
    with pytest.raises(ConfigError, match=message):
        create("optimizer", name, {"lr": LR, **arguments}, model=paddle.nn.Linear(2, 2))


def test_all_mistakes_of_a_file_are_named_at_once():
    arguments = {"momentum": 1.0, "rho": -1.0, "epsilon": float("nan"), "clip_value": 0}
    with pytest.raises(ConfigError) as caught:
        create("optimizer", "RMSProp", {"lr": -0.1, **arguments})
    named = [line.split(": ")[1] for line in str(caught.value).splitlines()]
    assert named == ["lr.learning_rate", *arguments]


def test_lr_is_required():
    with pytest.raises(ConfigError, match="lr: required"):
        create("optimizer", "SGD", {})


def test_a_paddleclas_section_builds_as_it_is():
    written = {
        "name": "Momentum",
        "momentum": 0.9,
        "lr": {"name": "Cosine", "learning_rate": 0.1, "warmup_epoch": 1},
        "regularizer": {"name": "L2", "coeff": 0.00007},
    }
    part = parse("optimizer", written)
    optimizer = part.build(model=paddle.nn.Linear(2, 2), epochs=4, steps_per_epoch=10)
    assert optimizer.schedule.at(10) == 0.1
    assert optimizer.schedule.at(39) == pytest.approx(0.05 * (1 + np.cos(np.pi * 29 / 30)))


class _Staged(paddle.nn.Layer):
    stages = ("first", "second")

    def __init__(self) -> None:
        super().__init__()
        for name in (*self.stages, "head"):
            self.add_sublayer(name, paddle.nn.Linear(2, 2))


@pytest.mark.parametrize("name", names("optimizer"))
def test_layer_decay_lowers_the_rates_of_early_stages(name):
    changes = {}
    for decay in (1.0, 0.5):
        model = _Staged()
        arguments = {"lr": 0.01, "layer_decay": decay, "one_dim_param_no_weight_decay": True}
        optimizer = create("optimizer", name, arguments, model=model)
        for parameter in model.parameters():
            parameter.set_value(paddle.zeros_like(parameter))
            (parameter * 3.0).sum().backward()
        optimizer.set_step(0)
        optimizer.step()
        changes[decay] = {
            part: getattr(model, part).bias.numpy() for part in ("first", "second", "head")
        }
    for part, factor in (("first", 0.25), ("second", 0.5), ("head", 1.0)):
        np.testing.assert_allclose(changes[0.5][part], factor * changes[1.0][part], rtol=1e-5)
        assert np.abs(changes[1.0][part]).min() > 0


def test_layer_decay_needs_stages():
    arguments = {"lr": 0.1, "layer_decay": 0.5}
    with pytest.raises(ConfigError, match="layer_decay"):
        create("optimizer", "SGD", arguments, model=paddle.nn.Linear(2, 2))

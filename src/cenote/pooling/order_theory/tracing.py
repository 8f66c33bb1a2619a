"""Find the ReLUs before a model's pooling layers, and whether anything else needs them."""

from __future__ import annotations

import copy
from collections.abc import Collection, Iterator
from dataclasses import dataclass

import torch
import torch.fx
import torch.nn.functional as F
from torch import nn

from cenote.pooling.order_theory.pooling import PosetPool2d

POOLS_2D = (
    nn.MaxPool2d,
    nn.AvgPool2d,
    nn.LPPool2d,
    nn.FractionalMaxPool2d,
    nn.AdaptiveMaxPool2d,
    nn.AdaptiveAvgPool2d,
)
"""torch's poolings of maps."""

_POOL_CALLS = frozenset(
    {
        F.max_pool2d,
        F.max_pool2d_with_indices,
        F.avg_pool2d,
        F.lp_pool2d,
        F.fractional_max_pool2d,
        F.fractional_max_pool2d_with_indices,
        F.adaptive_max_pool2d,
        F.adaptive_max_pool2d_with_indices,
        F.adaptive_avg_pool2d,
        torch.max_pool2d,
    }
)
_RELUS = (nn.ReLU, nn.ReLU6)
_IN_PLACE_CALLS = frozenset({F.relu_, torch.relu_, "relu_"})
_RELU_CALLS = frozenset({F.relu, F.relu6, torch.relu, "relu"}) | _IN_PLACE_CALLS

# What a ReLU can change places with: max(relu(x)) is relu(max(x)), and so on. Averages are not among them.
_MAX_POOLS = (nn.MaxPool2d, nn.AdaptiveMaxPool2d)
_MAX_POOL_CALLS = frozenset({F.max_pool2d, F.adaptive_max_pool2d, torch.max_pool2d})
_JOINS = frozenset({torch.cat, torch.concat, torch.concatenate})
# Of these the result may be the input itself, so that a change in place reaches both.
_DROPOUTS = (nn.Identity, nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d)
_DROPOUT_CALLS = frozenset({F.dropout, F.dropout1d, F.dropout2d, F.dropout3d, torch.dropout, "contiguous"})


@dataclass(frozen=True)
class Before:
    """What stands before a pooling layer."""

    relus: tuple[str, ...]
    """Paths of the ReLUs that nothing else needs: they can be taken out."""
    said: str
    """What was found, for people."""


def data_flow(model: nn.Module, replaced: Collection[nn.Module]) -> TracedFlow | SequentialFlow:
    """Return what is known of the order in which a model calls its layers.

    Args:
        model: Any model; it is not run.
        replaced: Its pooling layers that are to be replaced; a ReLU may be taken out if only they read it.

    Returns:
        The flow as torch.fx traces it, or what its ``Sequential``s show if it cannot be traced.

    Shapes:
        Nothing is computed.

    Example:
        >>> model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Dropout2d(), nn.MaxPool2d(2))
        >>> data_flow(model, [model[3]]).before("3").said
        "ReLU '1' taken out"
    """
    try:
        # A copy: tracing runs the model's Python code, which may set attributes.
        graph = _Tracer().trace(copy.deepcopy(model))
    except Exception as error:  # any code may stand in a forward method, so anything may be raised
        return SequentialFlow(model, replaced, type(error).__name__)
    return TracedFlow(model, replaced, graph)


class _Tracer(torch.fx.Tracer):
    """Does not look into poolings: subclasses of torch's may decide by the size of a map."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return isinstance(m, (*POOLS_2D, PosetPool2d)) or super().is_leaf_module(m, module_qualified_name)


# --- a model that can be traced -----------------------------------------------------------------------------------


class TracedFlow:
    """The calls that a forward pass makes. A layer is known by its identity, since it may have several paths."""

    def __init__(self, model: nn.Module, replaced: Collection[nn.Module], graph: torch.fx.Graph) -> None:
        self._model = model
        self._replaced = {id(layer) for layer in replaced}
        self._position = {node: position for position, node in enumerate(graph.nodes)}
        self._calls: dict[int, list[torch.fx.Node]] = {}
        self.pool_calls: list[tuple[str, str]] = []
        """Pooling called as a function: name of the call and of the function."""
        for node in graph.nodes:
            if node.op == "call_module":
                self._calls.setdefault(id(self._layer(node)), []).append(node)
            elif node.op == "call_function" and node.target in _POOL_CALLS:
                self.pool_calls.append((node.name, getattr(node.target, "__name__", str(node.target))))

    def before(self, name: str) -> Before:
        """Return what stands before the calls of the layer at this path."""
        calls = self._calls.get(id(self._model.get_submodule(name)))
        if not calls:
            return Before((), "the layer is never called")
        sources = dict.fromkeys(source for call in calls for source in self._sources(call))
        found = [self._source(source) for source in sources]
        relus = tuple(path for one in found for path in one.relus)
        return Before(relus, "; ".join(dict.fromkeys(one.said for one in found)))

    def _sources(self, node: torch.fx.Node) -> Iterator[torch.fx.Node]:
        """Where the values come from: back through everything that a ReLU can change places with."""
        for source in node.all_input_nodes:
            earlier = [user for user in source.users if self._position[user] < self._position[node]]
            if in_place := [user for user in earlier if self._is_in_place_relu(user)]:
                yield from in_place  # the result of such a call need not be read: its input is rectified too
            elif self._commutes(source):
                yield from self._sources(source)
            else:
                yield source

    def _source(self, node: torch.fx.Node) -> Before:
        layer = self._layer(node)
        if type(layer) in _RELUS:
            return self._relu(layer)
        if _is_call_of(node, _RELU_CALLS):
            advice = "take it out by hand" if self._only_feeds_replaced(node) else "other layers read it too"
            return Before((), f"the ReLU before it, {node.name}, is a function call; {advice}")
        if self._is_poset_pooling(layer):
            return Before((), _after_poset_pooling(str(node.target)))
        what = f"the call of {node.name}"
        if layer is not None:
            what = f"{type(layer).__name__} {str(node.target)!r}"
        elif node.op == "placeholder":
            what = "the model's input"
        return Before((), f"no ReLU between it and {what}")

    def _relu(self, relu: nn.Module | None) -> Before:
        paths = [path for path, layer in self._model.named_modules(remove_duplicate=False) if layer is relu]
        calls = self._calls[id(relu)]
        what = f"{type(relu).__name__} {' and '.join(map(repr, paths))}"
        if getattr(relu, "inplace", False) and any(self._is_read_elsewhere(call) for call in calls):
            return Before((), f"{what} stays: it works in place, and other layers read its input too")
        if not all(self._only_feeds_replaced(call) for call in calls):
            return Before((), f"{what} stays: other layers read it too")
        return Before(tuple(paths), _taken_out(relu, what))

    def _only_feeds_replaced(self, node: torch.fx.Node) -> bool:
        """Whether all that reads a value, at once or behind what commutes with a ReLU, is replaced."""
        return bool(node.users) and all(
            id(self._layer(user)) in self._replaced or (self._commutes(user) and self._only_feeds_replaced(user))
            for user in node.users
        )

    def _is_read_elsewhere(self, node: torch.fx.Node) -> bool:
        """Whether the tensor that a call changes in place is read by any other."""
        (source,) = node.all_input_nodes
        hands_on = type(self._layer(source)) in _DROPOUTS or _is_call_of(source, _DROPOUT_CALLS)
        return len(source.users) > 1 or (hands_on and self._is_read_elsewhere(source))

    def _commutes(self, node: torch.fx.Node) -> bool:
        if (layer := self._layer(node)) is not None:
            return _commutes(layer) and not self._is_poset_pooling(layer)
        return _is_call_of(node, _DROPOUT_CALLS | _MAX_POOL_CALLS | _JOINS)

    def _is_in_place_relu(self, node: torch.fx.Node) -> bool:
        if type(layer := self._layer(node)) in _RELUS:
            return bool(getattr(layer, "inplace", False))
        in_place = node.kwargs.get("inplace") is True
        return _is_call_of(node, _IN_PLACE_CALLS) or (_is_call_of(node, _RELU_CALLS) and in_place)

    def _is_poset_pooling(self, layer: nn.Module | None) -> bool:
        return isinstance(layer, PosetPool2d) or id(layer) in self._replaced

    def _layer(self, node: torch.fx.Node) -> nn.Module | None:
        return self._model.get_submodule(str(node.target)) if node.op == "call_module" else None


# --- a model that cannot be traced --------------------------------------------------------------------------------


class SequentialFlow:
    """Neighbours in a ``Sequential``: all that is known of a model that cannot be traced."""

    pool_calls: tuple[tuple[str, str], ...] = ()

    def __init__(self, model: nn.Module, replaced: Collection[nn.Module], why: str) -> None:
        self._model = model
        self._replaced = {id(layer) for layer in replaced}
        self._unknown = Before((), f"no ReLU found before it (the model cannot be traced: {why})")

    def before(self, name: str) -> Before:
        """Return what stands before the layer at this path."""
        parent, _, child = name.rpartition(".")
        row = self._model.get_submodule(parent)
        if not isinstance(row, nn.Sequential) or type(row).forward is not nn.Sequential.forward:
            return self._unknown
        layers = dict(zip(row._modules, row, strict=True))  # named_children leaves out a layer's second place
        earlier = list(layers)[: list(layers).index(child)]
        while earlier:
            place = earlier.pop()
            path, layer = f"{parent}.{place}" if parent else place, layers[place]
            if isinstance(layer, PosetPool2d) or id(layer) in self._replaced:
                return Before((), _after_poset_pooling(path))
            if type(layer) in _RELUS:
                return self._relu(path, layer, [layers[other] for other in earlier])
            if not _commutes(layer):
                break
        return self._unknown

    def _relu(self, path: str, relu: nn.Module, earlier: list[nn.Module]) -> Before:
        what = f"{type(relu).__name__} {path!r}"
        if getattr(relu, "inplace", False) and all(type(layer) in _DROPOUTS for layer in earlier):
            return Before((), f"{what} stays: it works in place, and what else reads its input is not known")
        return Before((path,), _taken_out(relu, what))


def _is_call_of(node: torch.fx.Node, targets: Collection[object]) -> bool:
    return node.op in ("call_function", "call_method") and node.target in targets


def _commutes(layer: nn.Module) -> bool:
    return type(layer) in _MAX_POOLS or type(layer) in _DROPOUTS


def _taken_out(relu: nn.Module | None, what: str) -> str:
    return f"{what} taken out" + (", and its cap at 6 with it" if isinstance(relu, nn.ReLU6) else "")


def _after_poset_pooling(path: str) -> str:
    return f"no ReLU between it and the poset pooling {path!r}, which has a floor of its own"

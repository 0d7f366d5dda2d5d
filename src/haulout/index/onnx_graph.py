"""The MiniLM network as an ONNX graph, written with a protobuf encoder of forty lines.

The ``onnx`` package is not needed: a model file is a tree of protobuf messages, and a graph
whose weights are handed over separately takes 9 kB, or 13 kB quantised. Field numbers are those of
``onnx.proto`` (IR version 8, operator set 17, and version 1 of ``com.microsoft``).

What this module does not do: read weights, quantise them or run anything.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

FLOAT: Final = 1
"""``TensorProto.DataType`` of 32-bit floats."""
INT8: Final = 3
"""``TensorProto.DataType`` of signed bytes."""

_IR_VERSION: Final = 8  # read by every onnxruntime since 1.11
_OPSET: Final = 17  # the first with LayerNormalization
_EXTERNAL: Final = 1  # TensorProto.DataLocation
_ATTRIBUTE_TYPE: Final = {float: 1, int: 2, tuple: 7}

_Attribute: TypeAlias = float | int | tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Shape:
    """The sizes of a BERT-shaped encoder.

    Attributes:
        layers: transformer blocks.
        width: features per token, and of the embedding.
        heads: attention heads; divides ``width``.
        inner: features of the feed-forward layer.
        epsilon: added to the variance by each layer normalisation.
    """

    layers: int
    width: int
    heads: int
    inner: int
    epsilon: float


@dataclass(frozen=True, slots=True)
class Weight:
    """A tensor that the graph names and the session receives separately."""

    name: str
    data_type: int
    shape: tuple[int, ...]


def build(shape: Shape, *, quantised: bool) -> tuple[bytes, tuple[Weight, ...]]:
    """Return the model file and the weights it expects beside it.

    The graph maps ``tokens``, float32 [1, n, width] (word, position and segment embeddings
    summed), to ``embedding``, float32 [1, width] of unit length. There is one text per run, so
    no padding and no attention mask.

    Args:
        shape: the sizes of the network.
        quantised: True for 8-bit weights with 8-bit dynamic activations.
    """
    graph = _Graph(shape, quantised=quantised)
    return graph.model(), tuple(graph.weights)


class _Graph:
    """Collects the nodes of one network in order of execution."""

    def __init__(self, shape: Shape, *, quantised: bool) -> None:
        self.shape = shape
        self.quantised = quantised
        self.weights: list[Weight] = []
        self._nodes: list[bytes] = []
        self._build()

    def model(self) -> bytes:
        """Return the encoded ``ModelProto``."""
        width = self.shape.width
        graph = b"".join(
            [
                *(_message(1, node) for node in self._nodes),
                _text(2, "minilm"),
                *(_message(5, _external_tensor(weight)) for weight in self.weights),
                _message(11, _float_value("tokens", (1, "n", width))),
                _message(12, _float_value("embedding", (1, width))),
            ]
        )
        opsets = [("", _OPSET), ("com.microsoft", 1)]
        return b"".join(
            [
                _number(1, _IR_VERSION),
                _text(2, "haulout"),
                _message(7, graph),
                *(_message(8, _text(1, domain) + _number(2, v)) for domain, v in opsets),
            ]
        )

    def _build(self) -> None:
        width, inner, epsilon = self.shape.width, self.shape.inner, self.shape.epsilon
        norm = (self._floats("embed.norm.weight", width), self._floats("embed.norm.bias", width))
        self._node("LayerNormalization", ("tokens", *norm), "hidden.0", epsilon=epsilon, axis=-1)
        for layer in range(self.shape.layers):
            at = f"layer.{layer}"
            hidden = f"hidden.{layer}"
            self._attention(hidden, at)
            attended = self._linear(f"{at}.attended", f"{at}.output", (width, width))
            self._skip(attended, hidden, f"{at}.output", f"{at}.hidden")
            up = self._linear(f"{at}.hidden", f"{at}.up", (width, inner))
            bias = self._floats(f"{at}.up.bias", inner)
            self._node("BiasGelu", (up, bias), f"{at}.gelu", domain="com.microsoft")
            down = self._linear(f"{at}.gelu", f"{at}.down", (inner, width))
            self._skip(down, f"{at}.hidden", f"{at}.down", f"hidden.{layer + 1}")
        last = f"hidden.{self.shape.layers}"
        self._node("ReduceMean", (last,), "mean", axes=(1,), keepdims=0)
        self._node("LpNormalization", ("mean",), "embedding", axis=-1, p=2)

    def _attention(self, source: str, at: str) -> None:
        """Add query, key and value in one product, then attention over all heads."""
        width, heads = self.shape.width, self.shape.heads
        weight = self._matrix(f"{at}.qkv", (width, 3 * width))
        bias = self._floats(f"{at}.qkv.bias", 3 * width)
        result = f"{at}.attended"
        if not self.quantised:
            inputs = (source, weight[0], bias)
            self._node("Attention", inputs, result, domain="com.microsoft", num_heads=heads)
            return
        level, scale, zero = (f"{at}.in.{part}" for part in ("level", "scale", "zero"))
        self._node("DynamicQuantizeLinear", (source,), level, scale, zero)
        inputs = (level, weight[0], bias, scale, weight[1], "", zero, weight[2])
        self._node("QAttention", inputs, result, domain="com.microsoft", num_heads=heads)

    def _linear(self, source: str, name: str, shape: tuple[int, int]) -> str:
        """Add a matrix product without bias; the operator that follows adds it."""
        result = f"{name}.product"
        weight = self._matrix(name, shape)
        if self.quantised:
            self._node("DynamicQuantizeMatMul", (source, *weight), result, domain="com.microsoft")
        else:
            self._node("MatMul", (source, *weight), result)
        return result

    def _skip(self, source: str, skip: str, name: str, result: str) -> None:
        """Add the bias of ``name``, the residual and the layer normalisation."""
        parts = ("norm.weight", "norm.bias", "bias")
        inputs = (
            source,
            skip,
            *(self._floats(f"{name}.{part}", self.shape.width) for part in parts),
        )
        epsilon = self.shape.epsilon
        domain = "com.microsoft"
        self._node("SkipLayerNormalization", inputs, result, domain=domain, epsilon=epsilon)

    def _matrix(self, name: str, shape: tuple[int, int]) -> tuple[str, ...]:
        """Declare a weight matrix; three tensors when quantised, else one."""
        if not self.quantised:
            return (self._floats(f"{name}.weight", *shape),)
        level = Weight(f"{name}.weight", INT8, shape)
        zero = Weight(f"{name}.zero", INT8, (shape[1],))
        self.weights += [level, zero]
        return (level.name, self._floats(f"{name}.scale", shape[1]), zero.name)

    def _floats(self, name: str, *shape: int) -> str:
        self.weights.append(Weight(name, FLOAT, shape))
        return name

    def _node(
        self,
        operator: str,
        inputs: tuple[str, ...],
        *outputs: str,
        domain: str = "",
        **attributes: _Attribute,
    ) -> None:
        self._nodes.append(_node(operator, inputs, outputs, domain, attributes))


def _node(
    operator: str,
    inputs: Iterable[str],
    outputs: Iterable[str],
    domain: str,
    attributes: Mapping[str, _Attribute],
) -> bytes:
    return b"".join(
        [
            *(_text(1, name) for name in inputs),
            *(_text(2, name) for name in outputs),
            _text(4, operator),
            *(_message(5, _attribute(name, value)) for name, value in attributes.items()),
            _text(7, domain),
        ]
    )


def _attribute(name: str, value: _Attribute) -> bytes:
    if isinstance(value, float):
        body = _tag(2, 5) + struct.pack("<f", value)
    elif isinstance(value, int):
        body = _number(3, value)
    else:
        body = b"".join(_number(8, item) for item in value)
    return _text(1, name) + body + _number(20, _ATTRIBUTE_TYPE[type(value)])


def _external_tensor(weight: Weight) -> bytes:
    # The location is never opened: the session is given every tensor by name.
    location = _text(1, "location") + _text(2, "memory")
    return b"".join(
        [
            *(_number(1, size) for size in weight.shape),
            _number(2, weight.data_type),
            _text(8, weight.name),
            _message(13, location),
            _number(14, _EXTERNAL),
        ]
    )


def _float_value(name: str, shape: tuple[int | str, ...]) -> bytes:
    """Encode a ``ValueInfoProto``; a string in the shape names a size known only at run time."""
    sizes = (_number(1, size) if isinstance(size, int) else _text(2, size) for size in shape)
    dimensions = b"".join(_message(1, size) for size in sizes)
    tensor = _number(1, FLOAT) + _message(2, dimensions)
    return _text(1, name) + _message(2, _message(1, tensor))


def _number(field: int, value: int) -> bytes:
    return _tag(field, 0) + _varint(value & 0xFFFF_FFFF_FFFF_FFFF)  # int64 as two's complement


def _text(field: int, value: str) -> bytes:
    return _message(field, value.encode())


def _message(field: int, body: bytes) -> bytes:
    return _tag(field, 2) + _varint(len(body)) + body


def _tag(field: int, wire_type: int) -> bytes:
    return _varint(field << 3 | wire_type)


def _varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 0x7F:  # noqa: PLR2004 - seven bits a byte, the eighth says that more follow
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)

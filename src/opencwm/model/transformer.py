"""The CWM decoder in readable PyTorch, over packed tokens.

    tokens_T -> embedding -> [ x + attention(norm(x)),  x + feed_forward(norm(x)) ] * layers -> norm -> head -> logits

Several sequences are one long row of T tokens with a position each: training packs documents, generation packs the
next tokens of all running requests, and `attend` keeps them apart (`opencwm.model.attention`). Modules and parameters
carry the names of the Hugging Face layout, so a state dict is a checkpoint.

T = packed tokens, D = hidden, N = query heads, K = key-value heads, H = head dimension, V = vocabulary.
"""

from collections.abc import Iterator

import torch
import torch.nn.functional as functional
from torch import Tensor, nn

from opencwm.model.attention import Attend, PackedAttention
from opencwm.model.config import ModelConfig
from opencwm.model.rope import frequencies, rotate, rotation


class RMSNorm(nn.Module):
    def __init__(self, size: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        return functional.rms_norm(x, (x.shape[-1],), self.weight.to(x.dtype), self.eps)


class Attention(nn.Module):
    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.head_dim = config.head_dim
        hidden, head = config.hidden_size, config.head_dim
        self.q_proj = nn.Linear(hidden, config.num_attention_heads * head, bias=False)
        self.k_proj = nn.Linear(hidden, config.num_key_value_heads * head, bias=False)
        self.v_proj = nn.Linear(hidden, config.num_key_value_heads * head, bias=False)
        self.o_proj = nn.Linear(config.num_attention_heads * head, hidden, bias=False)
        self.q_norm = RMSNorm(head, config.rms_norm_eps) if config.qk_norm else None
        self.k_norm = RMSNorm(head, config.rms_norm_eps) if config.qk_norm else None

    def forward(self, x_TD: Tensor, cos: Tensor, sin: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values as `attend` takes them; the rest of the layer is `o_proj`, after it."""
        q_TNH = self.q_proj(x_TD).unflatten(-1, (-1, self.head_dim))
        k_TKH = self.k_proj(x_TD).unflatten(-1, (-1, self.head_dim))
        v_TKH = self.v_proj(x_TD).unflatten(-1, (-1, self.head_dim))
        if self.q_norm is not None and self.k_norm is not None:
            q_TNH, k_TKH = self.q_norm(q_TNH), self.k_norm(k_TKH)
        return rotate(q_TNH, cos, sin), rotate(k_TKH, cos, sin), v_TKH


class FeedForward(nn.Module):
    """SwiGLU: down(silu(gate(x)) * up(x))."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(config.hidden_size, config.intermediate_size, bias=False)
        self.up_proj = nn.Linear(config.hidden_size, config.intermediate_size, bias=False)
        self.down_proj = nn.Linear(config.intermediate_size, config.hidden_size, bias=False)

    def forward(self, x_TD: Tensor) -> Tensor:
        return self.down_proj(functional.silu(self.gate_proj(x_TD)) * self.up_proj(x_TD))  # type: ignore[no-any-return]


class Block(nn.Module):
    def __init__(self, config: ModelConfig, layer: int) -> None:
        super().__init__()
        self.input_layernorm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.self_attn = Attention(config)
        self.post_attention_layernorm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.mlp = FeedForward(config)
        self.layer = layer

    def forward(self, x_TD: Tensor, cos: Tensor, sin: Tensor, attend: Attend) -> Tensor:
        return self.after(x_TD, attend(self.layer, *self.before(x_TD, cos, sin)))

    # The two halves hold everything but the attention itself: static shapes, which can be compiled.

    def before(self, x_TD: Tensor, cos: Tensor, sin: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return self.self_attn(self.input_layernorm(x_TD), cos, sin)  # type: ignore[no-any-return]

    def after(self, x_TD: Tensor, attended_TNH: Tensor) -> Tensor:
        x_TD = x_TD + self.self_attn.o_proj(attended_TNH.flatten(1))
        return x_TD + self.mlp(self.post_attention_layernorm(x_TD))  # type: ignore[no-any-return]


class Decoder(nn.Module):
    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(config.vocab_size, config.hidden_size)
        self.layers = nn.ModuleList(Block(config, layer) for layer in range(config.num_hidden_layers))
        self.norm = RMSNorm(config.hidden_size, config.rms_norm_eps)


class Transformer(nn.Module):
    """The whole model. `forward` stops before the head, which is the costliest layer of a small model: call `logits`
    on the positions whose predictions are needed."""

    frequencies: Tensor

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.model = Decoder(config)
        self.lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)
        freqs = frequencies(config.head_dim, config.rope_theta, config.rope_scaling)
        self.register_buffer("frequencies", freqs, persistent=False)

    def forward(self, tokens_T: Tensor, positions_T: Tensor, attend: Attend) -> Tensor:
        """Final hidden states (T, D), normalised."""
        assert tokens_T.shape == positions_T.shape, f"{tokens_T.shape} tokens, {positions_T.shape} positions"
        x_TD = self.model.embed_tokens(tokens_T)
        cos, sin = rotation(positions_T, self.frequencies, compute_dtype(x_TD))
        for block in self.model.layers:
            x_TD = block(x_TD, cos, sin, attend)
        return self.model.norm(x_TD)  # type: ignore[no-any-return]

    def logits(self, hidden_TD: Tensor) -> Tensor:
        """Next-token logits (T, V) of the given hidden states."""
        return self.lm_head(hidden_TD)  # type: ignore[no-any-return]

    def score(self, tokens_T: Tensor, lengths: list[int]) -> Tensor:
        """Logits (T, V) of packed documents of the given lengths, each seeing only itself."""
        positions_T = torch.cat([torch.arange(length, device=tokens_T.device) for length in lengths])
        return self.logits(self(tokens_T, positions_T, PackedAttention(self.config, lengths)))

    @property
    def device(self) -> torch.device:
        return self.lm_head.weight.device

    @property
    def num_parameters(self) -> int:
        return sum(parameter.numel() for parameter in self.parameters())

    @torch.no_grad()
    def initialise(self, seed: int) -> None:
        """Give the model the weights of `initial_weights`."""
        for parameter, (_, tensor) in zip(self.parameters(), initial_weights(self, seed), strict=True):
            parameter.copy_(tensor)


def initial_weights(model: Transformer, seed: int) -> Iterator[tuple[str, Tensor]]:
    """Weights of a new model of this shape, one at a time: embeddings N(0, 0.02), matrices uniform with standard
    deviation 1/sqrt(fan in), the matrices that write to the residual stream zero, so that training starts from the
    identity."""
    generator = torch.Generator(device="cpu").manual_seed(seed)
    for name, parameter in model.named_parameters():
        tensor = torch.empty(parameter.shape)
        if tensor.ndim == 1:
            tensor.fill_(1.0)
        elif name.endswith(("o_proj.weight", "down_proj.weight")):
            tensor.zero_()
        elif name.endswith(("embed_tokens.weight", "lm_head.weight")):
            tensor.normal_(0.0, 0.02, generator=generator)
        else:
            bound = (3.0 / tensor.shape[1]) ** 0.5
            tensor.uniform_(-bound, bound, generator=generator)
        yield name, tensor


def compute_dtype(x: Tensor) -> torch.dtype:
    """The type matrix products run in: autocast's where it is on, else that of the weights."""
    device = x.device.type
    known = torch.amp.is_autocast_available(device)
    return torch.get_autocast_dtype(device) if known and torch.is_autocast_enabled(device) else x.dtype

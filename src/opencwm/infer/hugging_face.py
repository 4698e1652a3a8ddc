"""Any causal language model that transformers can load, as a model of ours: for folders that our engine does not read.

    folder --AutoModelForCausalLM--> HuggingFaceModel;   Request --generate--> Completion

Requests are made one after the other by transformers' own `generate`: it is here to be right, not quick. A server
(vLLM, over `URL#name`) is the way to many requests or a large model. Token ids and text are read by every model, chat
messages by those whose folder holds a chat template. A model whose vocabulary has CWM's special tokens reads traces as
tokens; any other has no tokenizer in our sense (`tokenizer` is None) and is asked in text.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from opencwm.errors import ConfigError
from opencwm.infer.sampler import likeliest, log_probabilities
from opencwm.model.device import fast_dtype
from opencwm.protocols import Completion, GrammarState, Message, Request, Scores
from opencwm.tokenizer import Tokenizer

try:
    import transformers
except ImportError as exc:
    raise ConfigError("models of other architectures need transformers", fix="pip install 'opencwm[hf]'") from exc


class HuggingFaceModel:
    """A `protocols.ScoringModel`."""

    def __init__(self, model: Any, text_tokenizer: Any, *, tokenizer: Tokenizer | None, name: str) -> None:
        """A model and a tokenizer of transformers'; `tokenizer` is ours, where the model knows traces."""
        self.name = name
        self.tokenizer = tokenizer
        self._model = model.eval()
        self._text = text_tokenizer

    @classmethod
    def load(cls, folder: Path, *, device: torch.device, threads: int | None = None) -> "HuggingFaceModel":
        """Raises ConfigError where transformers cannot read the folder. Code that lies in the folder is
        not run."""
        if threads is not None:
            torch.set_num_threads(threads)
        transformers.utils.logging.disable_progress_bar()  # type: ignore[no-untyped-call]
        try:
            model: Any = transformers.AutoModelForCausalLM.from_pretrained(
                folder, dtype=fast_dtype(device)[0], local_files_only=True
            )
            text = transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True)
        except (OSError, ValueError, KeyError, RuntimeError) as exc:
            first = str(exc).strip().split("\n")[0]
            raise ConfigError(f"transformers cannot read {folder}: {first}", fix="give a whole model folder") from exc
        try:
            tokenizer = Tokenizer.load(folder)
        except ConfigError:
            tokenizer = None  # a model of language, which is asked in text
        return cls(model.to(device), text, tokenizer=tokenizer, name=folder.name)

    def generate(self, requests: Sequence[Request]) -> list[Completion]:
        return [self._one(request) for request in requests]

    @torch.inference_mode()
    def score(self, sequences: Sequence[Sequence[int]]) -> list[Scores]:
        """Argmax and log-probability at every position of given sequences."""
        found = []
        for sequence in sequences:
            ids = torch.tensor([list(sequence)], device=self._model.device)
            logits = self._model(ids, use_cache=False).logits[0, :-1].float()
            argmax = logits.argmax(dim=-1).tolist()
            found.append(
                Scores(
                    argmax=tuple(argmax),
                    argmax_logprobs=tuple(log_probabilities(logits, argmax)),
                    logprobs=tuple(log_probabilities(logits, list(sequence[1:]))),
                )
            )
        return found

    @torch.inference_mode()
    def _one(self, request: Request) -> Completion:
        ids, stops = self._prompt(request)
        sampling: dict[str, Any] = {}
        if request.temperature > 0:
            sampling = {"do_sample": True, "temperature": request.temperature, "top_p": request.top_p, "top_k": 0}
            torch.manual_seed(request.seed)
        config = transformers.GenerationConfig(  # type: ignore[no-untyped-call]
            max_new_tokens=request.max_tokens,
            eos_token_id=sorted(stops) or None,
            pad_token_id=min(stops, default=0),  # one sequence at a time: nothing is padded
            bos_token_id=self._model.config.bos_token_id,
            return_dict_in_generate=True,
            output_logits=True,
            **sampling,
        )
        constraints = [] if request.grammar is None else [Constraint(request.grammar.start(), len(ids))]

        def has_stopped(sequences: Tensor, scores: Tensor) -> Tensor:
            text = self._text.decode(sequences[0, len(ids) :].tolist()) if request.stop_texts else ""
            return torch.tensor([any(stop in text for stop in request.stop_texts)], device=sequences.device)

        prompt = torch.tensor([ids], device=self._model.device)
        made = self._model.generate(
            prompt,
            attention_mask=torch.ones_like(prompt),
            generation_config=config,
            logits_processor=transformers.LogitsProcessorList(constraints),
            stopping_criteria=transformers.StoppingCriteriaList([has_stopped]),
        )
        return self._completion(request, made.sequences[0, len(ids) :].tolist(), made.logits, stops)

    def _prompt(self, request: Request) -> tuple[list[int], frozenset[int]]:
        """The prompt's ids, and the ids that end what follows: for text and chats also the model's own."""
        prompt = request.prompt
        if isinstance(prompt, tuple) and not any(isinstance(item, Message) for item in prompt[:1]):
            return [item for item in prompt if isinstance(item, int)], request.stop_ids
        own = self._model.generation_config.eos_token_id
        stops = request.stop_ids | frozenset(own if isinstance(own, list) else [] if own is None else [own])
        if isinstance(prompt, str):
            return list(self._text(prompt).input_ids), stops
        if self._text.chat_template is None:
            raise ConfigError(f"{self.name} has no chat template", fix="use a model that was trained on chats")
        messages = [{"role": item.role, "content": item.content} for item in prompt if isinstance(item, Message)]
        ids = self._text.apply_chat_template(messages, add_generation_prompt=True, return_dict=False)
        return list(ids), stops

    def _completion(
        self, request: Request, tokens: list[int], logits: Sequence[Tensor], stops: frozenset[int]
    ) -> Completion:
        """`logits` are the model's own, one row (1, V) per token, before temperature, top-p and grammar."""
        if self.tokenizer is not None and not isinstance(request.prompt, str):
            text = self.tokenizer.decode([token for token in tokens if token < self.tokenizer.vocab_size])
        else:
            text = self._text.decode([token for token in tokens if token not in stops])
        places = [text.find(stop) for stop in request.stop_texts if stop in text]
        rows = torch.cat(list(logits)).float() if len(logits) else torch.zeros(0, 1)
        top = [tuple(best) for best in likeliest(rows, request.top_logprobs)] if request.top_logprobs else None
        is_stopped = bool(places) or (bool(tokens) and tokens[-1] in stops)
        return Completion(
            tokens=tuple(tokens),
            text=text[: min(places)] if places else text,
            finish="stop" if is_stopped else "length",
            logprobs=tuple(log_probabilities(rows, tokens)) if request.logprobs else None,
            top_logprobs=None if top is None else tuple(top),
        )


class Constraint:
    """A logits processor of transformers': what a grammar does not allow is out of the question."""

    def __init__(self, state: GrammarState, num_prompt: int) -> None:
        self._state = state
        self._num_seen = num_prompt

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        for token in input_ids[0, self._num_seen :].tolist():
            self._state.accept(token)
        self._num_seen = input_ids.shape[1]
        allowed = torch.frombuffer(bytearray(self._state.allowed()), dtype=torch.uint8).bool().to(scores.device)
        forbidden = torch.ones(scores.shape[-1], dtype=torch.bool, device=scores.device)
        forbidden[: len(allowed)] = ~allowed[: scores.shape[-1]]
        return scores.masked_fill(forbidden, float("-inf"))

"""What the server counts, for Prometheus."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

SECONDS = (0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300)


class Metrics:
    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "opencwm_requests", "HTTP requests by path and status.", ["path", "status"], registry=self.registry
        )
        self.prompt_tokens = self._counter("prompt_tokens", "Tokens of accepted prompts.")
        self.made_tokens = self._counter("made_tokens", "Tokens made.")
        self.steps = self._counter(
            "steps", "Steps of the engine: batching and drafts make more than one token in each."
        )
        self.cancelled = self._counter("cancelled", "Generations cut short, mostly because the client went away.")
        self.failed = self._counter("failed", "Generations that failed: memory ran out, or worse.")
        self.running = self._gauge("running", "Generations that have a slot.")
        self.waiting = self._gauge("waiting", "Generations that wait for one.")
        self.first_token = self._histogram("first_token_seconds", "From a request's acceptance to its first token.")
        self.duration = self._histogram("request_seconds", "From a request's acceptance to its end.")

    def page(self) -> bytes:
        return generate_latest(self.registry)

    def _counter(self, name: str, what: str) -> Counter:
        return Counter(f"opencwm_{name}", what, registry=self.registry)

    def _gauge(self, name: str, what: str) -> Gauge:
        return Gauge(f"opencwm_{name}", what, registry=self.registry)

    def _histogram(self, name: str, what: str) -> Histogram:
        return Histogram(f"opencwm_{name}", what, registry=self.registry, buckets=SECONDS)

"""What a client is told when a request is refused: an HTTP status and OpenAI's error object."""

from collections.abc import Mapping
from typing import Any

from starlette.responses import JSONResponse

RETRY_AFTER_S = 1
"""What a refused client is asked to wait where it may pass."""


class Refusal(Exception):
    """Ends the handling of one request."""

    def __init__(self, status: int, message: str, *, code: str | None = None, param: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code
        self.param = param

    def to_dict(self) -> dict[str, Any]:
        kinds = {401: "authentication_error", 429: "rate_limit_error"}
        kind = "server_error" if self.status >= 500 else kinds.get(self.status, "invalid_request_error")
        return {"error": {"message": self.message, "type": kind, "param": self.param, "code": self.code}}

    def response(self, headers: Mapping[str, str] | None = None) -> JSONResponse:
        more = {"retry-after": str(RETRY_AFTER_S)} if self.status in (429, 503) else {}
        return JSONResponse(self.to_dict(), status_code=self.status, headers={**more, **(headers or {})})

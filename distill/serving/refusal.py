"""Why a request is not answered, as an HTTP status and one sentence."""


class Refusal(Exception):
    """A request that cannot be answered.

    Args:
        status: of HTTP.
        message: one sentence for whoever wrote the client.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status, self.message = status, message

    def body(self) -> dict[str, object]:
        """As vLLM words it."""
        kinds = {400: "BadRequestError", 404: "NotFoundError", 403: "Forbidden", 413: "PayloadTooLarge"}
        kind = kinds.get(self.status, "InternalServerError" if self.status >= 500 else "BadRequestError")
        return {"error": {"message": self.message, "type": kind, "param": None, "code": self.status}}

"""The errors that callers see: their gRPC code, their message, and the HTTP status of each code."""

import grpc

# Source: ToHTTPStatusCode in tensorflow_serving/model_servers/http_server.cc.
HTTP_STATUS = {
    grpc.StatusCode.OK: 200,
    grpc.StatusCode.CANCELLED: 499,
    grpc.StatusCode.UNKNOWN: 500,
    grpc.StatusCode.INVALID_ARGUMENT: 400,
    grpc.StatusCode.DEADLINE_EXCEEDED: 504,
    grpc.StatusCode.NOT_FOUND: 404,
    grpc.StatusCode.ALREADY_EXISTS: 409,
    grpc.StatusCode.PERMISSION_DENIED: 403,
    grpc.StatusCode.UNAUTHENTICATED: 401,
    grpc.StatusCode.RESOURCE_EXHAUSTED: 429,
    grpc.StatusCode.FAILED_PRECONDITION: 400,
    grpc.StatusCode.ABORTED: 409,
    grpc.StatusCode.OUT_OF_RANGE: 400,
    grpc.StatusCode.UNIMPLEMENTED: 501,
    grpc.StatusCode.INTERNAL: 500,
    grpc.StatusCode.UNAVAILABLE: 503,
    grpc.StatusCode.DATA_LOSS: 500,
}
# Source: kErrorMessageLimit in tensorflow_serving/model_servers/grpc_status_util.cc.
GRPC_MESSAGE_LIMIT = 1024
_NAME_LIMIT = 200  # characters


class ServingError(Exception):
    """An error that the caller, or whoever started the server, must hear of.

    Attributes:
        code: The canonical status code.
        message: Text that is safe to send: it contains nothing internal.
    """

    def __init__(self, code: grpc.StatusCode, message: str) -> None:
        super().__init__(f"{code.name}: {message}")
        self.code = code
        self.message = message


def invalid(message: str) -> ServingError:
    """Return the error for a request or a configuration that is wrong (INVALID_ARGUMENT)."""
    return ServingError(grpc.StatusCode.INVALID_ARGUMENT, message)


def not_found(message: str) -> ServingError:
    """Return the error for a model or a version that does not exist (NOT_FOUND)."""
    return ServingError(grpc.StatusCode.NOT_FOUND, message)


def failed_precondition(message: str) -> ServingError:
    """Return the error for a request that does not fit what is loaded now (FAILED_PRECONDITION)."""
    return ServingError(grpc.StatusCode.FAILED_PRECONDITION, message)


def grpc_details(message: str) -> str:
    """Cut a message to what gRPC can carry, since details travel in a header of limited size."""
    return message if len(message) <= GRPC_MESSAGE_LIMIT else message[:GRPC_MESSAGE_LIMIT] + "...TRUNCATED"


def shown_name(name: str) -> str:
    """Return a name that a request gives in the form in which an error repeats it, so that no error is longer by far
    than what is wrong; TensorFlow Serving repeats all of it."""
    return name if len(name) <= _NAME_LIMIT else name[:_NAME_LIMIT] + "..."

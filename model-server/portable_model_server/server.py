"""The whole server: reads its configuration, loads the models, opens the ports, and ends in order."""

import logging
import time
from concurrent.futures import ThreadPoolExecutor
from queue import Empty, SimpleQueue

import grpc

from portable_model_server import config
from portable_model_server.cpu import cpu_limit
from portable_model_server.engine import EngineError, Threads
from portable_model_server.engine_choice import create_engine
from portable_model_server.errors import ServingError, invalid
from portable_model_server.flags import Flags
from portable_model_server.grpc_services import ModelServicer, PredictionServicer
from portable_model_server.listeners import GrpcListener, RestListener, check_address
from portable_model_server.loading import VersionLoader
from portable_model_server.manager import ModelManager
from portable_model_server.metrics import Metrics
from portable_model_server.prediction import Predictor
from portable_model_server.rest import RestLimits, create_app
from portable_model_server.served_model import Retries

_LOGGER = logging.getLogger(__name__)
# Threads for each CPU of the limit. Source: main.cc and server.h of tensorflow_model_server.
THREADS_PER_CPU = 4
STOP = "stop"
_CHANGED = "changed"


class ModelServer:
    """One process' server."""

    def __init__(self, flags: Flags, events: "SimpleQueue[str]") -> None:
        """Check the configuration; nothing is loaded or opened yet.

        Args:
            flags: the command line's.
            events: ``STOP`` in it ends ``run``; a signal handler may put it, since a SimpleQueue is reentrant.

        Raises:
            ServingError: the flags contradict each other, or a file they name is wrong.
            PortTaken: a port is not to be had.
            MalformedFlag: a channel argument is none.
        """
        self._events = events
        self._flags = flags
        self._cpus = cpu_limit()
        self._grpc_options = flags.grpc_options
        self._models = _models(flags)
        self._metrics_path = (
            config.metrics_path(config.read_text(flags.monitoring_config_file))
            if flags.monitoring_config_file
            else None
        )
        self._rest_port = flags.rest_api_port
        if not flags.port and not flags.grpc_socket_path:
            raise invalid("At least one of --port or --grpc_socket_path must be set.")
        if self._rest_port and self._rest_port == flags.port:
            _LOGGER.error("--rest_api_port cannot be same as --port. Skipped exporting HTTP/REST API.")
            self._rest_port = 0
        for port in filter(None, (flags.port, self._rest_port)):
            check_address(flags.host, port)
        self._metrics = Metrics()
        self._predictor = Predictor(not flags.enable_serialization_as_tensor_content, self._metrics)
        self._manager = self._create_manager()

    def run(self) -> bool:
        """Load, open, serve until told to stop, drain; returns whether all work had ended in time.

        Raises:
            ServingError: a model of the first configuration cannot be served.
            PortTaken: a port was taken while the models loaded.
        """
        self._manager.configure(self._models)
        if not self._wait_for_models():
            return False  # a load is under way, and a load cannot be interrupted
        grpc_listener, rest_listener, executor = self._open()
        self._serve()
        _LOGGER.info("stopping: calls under way have %d s to end", self._flags.shutdown_grace_seconds)
        deadline = time.monotonic() + self._flags.shutdown_grace_seconds
        grpc_ended = grpc_listener.close(self._flags.shutdown_grace_seconds)
        if rest_listener:
            rest_listener.close()
        ended = {"gRPC": grpc_ended.wait(max(deadline - time.monotonic(), 0))}
        if rest_listener:
            ended["REST"] = rest_listener.wait(deadline - time.monotonic())
        executor.shutdown(wait=False, cancel_futures=True)
        if all(ended.values()):
            ended["models"] = self._manager.close(timeout_s=max(deadline - time.monotonic(), 1))
        late = ", ".join(name for name, in_time in ended.items() if not in_time)
        _LOGGER.info("stopped; not ended in time: %s", late or "none")
        return not late

    def _create_manager(self) -> ModelManager:
        flags = self._flags
        try:
            engine = create_engine(flags.engine or None, self._threads())
        except EngineError as error:
            raise ServingError(grpc.StatusCode.UNAVAILABLE, str(error)) from error
        # Warmup is not measured: its times are not those that callers see.
        warmup = Predictor(typed_fields=False, metrics=Metrics())
        iterations = max(flags.num_request_iterations_for_warmup, 1) if flags.enable_model_warmup else 0
        return ModelManager(
            VersionLoader(engine, warmup, iterations),
            Retries(flags.max_num_load_retries, flags.load_retry_interval_micros / 1e6),
            poll_wait_s=flags.file_system_poll_wait_seconds,
            labels_may_precede=flags.allow_version_labels_for_unavailable_models,
            on_change=lambda: self._events.put(_CHANGED),
        )

    def _threads(self) -> Threads:
        flags = self._flags
        given = flags.tensorflow_intra_op_parallelism, flags.tensorflow_inter_op_parallelism
        if flags.tensorflow_session_parallelism > 0:
            if all(number > 0 for number in given):
                raise invalid(
                    "Either configure --tensorflow_session_parallelism or (--tensorflow_intra_op_parallelism, "
                    "--tensorflow_inter_op_parallelism) separately. You cannot configure all."
                )
            if not any(number > 0 for number in given):
                given = (flags.tensorflow_session_parallelism,) * 2
        return Threads(self._cpus, *(max(number, 0) for number in given))

    def _wait_for_models(self) -> bool:
        """Wait for the first version of each model; False if told to stop before."""
        while not self._manager.all_available():
            failed = self._manager.failures()
            if failed:
                message = "; ".join(
                    f"{name} version {status.number}: {status.error}" for name, status in failed.items()
                )
                raise ServingError(grpc.StatusCode.UNKNOWN, f"Some models did not become available: {message}")
            if self._events.get() == STOP:
                return False
        return True

    def _open(self) -> tuple[GrpcListener, RestListener | None, ThreadPoolExecutor]:
        flags = self._flags
        threads = flags.rest_api_num_threads or THREADS_PER_CPU * self._cpus
        executor = ThreadPoolExecutor(threads, thread_name_prefix="rest prediction")
        addresses = [f"{flags.host}:{flags.port}"] if flags.port else []
        if flags.grpc_socket_path:
            addresses.append(f"unix:{flags.grpc_socket_path}")
        grpc_listener = GrpcListener(
            addresses,
            PredictionServicer(self._manager, self._predictor, self._metrics),
            ModelServicer(self._manager),
            max_calls=flags.grpc_max_threads or THREADS_PER_CPU * self._cpus,
            max_message_bytes=flags.max_message_bytes,
            options=self._grpc_options,
            health=flags.enable_grpc_healthcheck_service,
        )
        if not self._rest_port:
            return grpc_listener, None, executor
        app = create_app(
            self._manager,
            self._predictor,
            self._metrics,
            metrics_path=self._metrics_path,
            limits=RestLimits(flags.max_message_bytes, max(flags.rest_api_timeout_in_ms, 0) / 1000),
            executor=executor,
        )
        rest_listener = RestListener(
            flags.host, self._rest_port, app, threads=threads, max_body_bytes=flags.max_message_bytes
        )
        return grpc_listener, rest_listener, executor

    def _serve(self) -> None:
        """Until told to stop; meanwhile follow the configuration file."""
        wait_s = self._flags.model_config_file_poll_wait_seconds if self._flags.model_config_file else 0
        applied = None
        next_look = time.monotonic() + wait_s
        while True:
            try:
                if self._events.get(timeout=max(next_look - time.monotonic(), 0) if wait_s > 0 else None) == STOP:
                    return
            except Empty:
                next_look = time.monotonic() + wait_s
                applied = self._reload(applied)

    def _reload(self, seen: str | None) -> str | None:
        """Apply the configuration file; returns what was seen, so that a wrong one is complained of once."""
        complaint = None
        try:
            text = config.read_text(self._flags.model_config_file)
            self._manager.configure(config.parse_models(text))
        except ServingError as error:
            complaint = str(error)
            if complaint != seen:
                _LOGGER.error("the configuration stays as it was: %s", complaint)
        return complaint


def _models(flags: Flags) -> list[config.ModelConfig]:
    if flags.model_config_file:
        return config.parse_models(config.read_text(flags.model_config_file))
    if not flags.model_base_path:
        raise invalid("Both --model_base_path and --model_config_file are empty!")
    return config.single_model(flags.model_name, flags.model_base_path)

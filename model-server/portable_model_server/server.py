"""The whole server: it reads its configuration, loads the models, opens the ports, serves, and stops in order."""

import logging
import time
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from queue import Empty, SimpleQueue

import grpc

from portable_model_server.api.calls import CallRecorder
from portable_model_server.api.grpc import ModelServicer, PredictionServicer
from portable_model_server.api.listeners import GrpcListener, RestListener, address, check_address, every_address
from portable_model_server.api.metrics import Metrics
from portable_model_server.api.rest import RestLimits, create_app
from portable_model_server.engines.base import EngineError, LoadedModel, Threads
from portable_model_server.engines.choice import create_engine
from portable_model_server.engines.cpu import cpu_limit
from portable_model_server.errors import ServingError, invalid
from portable_model_server.flags import Flags
from portable_model_server.serving import config
from portable_model_server.serving.batching import batched, batched_where_it_pays
from portable_model_server.serving.lifecycle import Retries
from portable_model_server.serving.loading import VersionLoader
from portable_model_server.serving.manager import ModelManager
from portable_model_server.serving.prediction import Predictor
from portable_model_server.serving.warmup import Warmup
from tracing.spans import NO_TRACING, Tracing

_LOGGER = logging.getLogger(__name__)
# Threads for each CPU of the limit. Source: main.cc and server.h of tensorflow_model_server.
THREADS_PER_CPU = 4
STOP = "stop"
_CHANGED = "changed"


class ModelServer:
    """The server of a process."""

    def __init__(self, flags: Flags, events: "SimpleQueue[str]", tracing: Tracing = NO_TRACING) -> None:
        """Check the configuration; nothing is loaded or opened yet.

        Args:
            flags: The flags of the command line.
            events: ``STOP`` in it ends ``run``. A signal handler may put it there, since a SimpleQueue is reentrant.
            tracing: Makes the spans of calls; ``run`` closes it.

        Raises:
            ServingError: The flags contradict each other, or a file that they name is wrong.
            PortTaken: Nothing can listen at a port.
            MalformedFlag: A channel argument has no value.
        """
        self._events = events
        self._tracing = tracing
        self._flags = flags
        self._cpus = cpu_limit()
        self._grpc_options = flags.grpc_options
        self._models = _models(flags)
        self._metrics_path = (
            config.metrics_path(config.read_text(flags.monitoring_config_file))
            if flags.monitoring_config_file
            else None
        )
        self._arrange = _arrangement(flags)
        self._host = every_address(flags.host)
        self._rest_port = flags.rest_api_port
        if not flags.port and not flags.grpc_socket_path:
            raise invalid("At least one of --port or --grpc_socket_path must be set.")
        if self._rest_port and self._rest_port == flags.port:
            _LOGGER.error("--rest_api_port cannot be same as --port. Skipped exporting HTTP/REST API.")
            self._rest_port = 0
        for port in filter(None, (flags.port, self._rest_port)):
            check_address(self._host, port)
        self._metrics = Metrics()
        self._predictor = Predictor(not flags.enable_serialization_as_tensor_content, self._metrics.observe_engine)
        self._manager = self._create_manager()

    def run(self) -> bool:
        """Load the models, open the ports, serve until ``STOP``, and drain; return whether all work ended in time.

        Raises:
            ServingError: A model of the first configuration cannot be served.
            PortTaken: A port was taken while the models loaded.
        """
        self._manager.configure(self._models)
        if not self._wait_for_models():
            return False  # a load is under way, and a load cannot be interrupted
        executor = ThreadPoolExecutor(self._rest_threads, thread_name_prefix="rest prediction")
        listeners = self._open(executor)
        self._serve()
        grace_s = self._flags.shutdown_grace_seconds
        _LOGGER.info("stopping: calls under way have %d s to end", grace_s)
        deadline = time.monotonic() + grace_s
        closed = {name: listener.close(grace_s) for name, listener in listeners.items()}
        ended = {name: event.wait(max(deadline - time.monotonic(), 0)) for name, event in closed.items()}
        executor.shutdown(wait=False, cancel_futures=True)
        if all(ended.values()):
            ended["models"] = self._manager.close(timeout_s=max(deadline - time.monotonic(), 1))
        self._tracing.close()
        late = ", ".join(name for name, in_time in ended.items() if not in_time)
        _LOGGER.info("stopped; not ended in time: %s", late or "none")
        return not late

    def _create_manager(self) -> ModelManager:
        flags = self._flags
        try:
            engine = create_engine(flags.engine or None, self._threads(), flags.precision)
        except EngineError as error:
            raise ServingError(grpc.StatusCode.UNAVAILABLE, str(error)) from error
        warmup = None
        if flags.enable_model_warmup:
            # Warmup is not recorded, since its times are not those of callers.
            predictor = Predictor(typed_fields=False, observe_engine=lambda *_: None)
            warmup = Warmup(predictor, max(flags.num_request_iterations_for_warmup, 1))
        return ModelManager(
            VersionLoader(engine, self._arrange, warmup),
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
        """Wait for the first version of each model; return False if ``STOP`` came before."""
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

    @property
    def _rest_threads(self) -> int:
        return self._flags.rest_api_num_threads or THREADS_PER_CPU * self._cpus

    def _open(self, executor: Executor) -> dict[str, GrpcListener | RestListener]:
        """Open the ports; the executor runs the predictions over REST."""
        flags = self._flags
        recorder = CallRecorder(self._manager, self._metrics, self._tracing)
        addresses = [address(self._host, flags.port)] if flags.port else []
        if flags.grpc_socket_path:
            addresses.append(f"unix:{flags.grpc_socket_path}")
        listeners: dict[str, GrpcListener | RestListener] = {}
        listeners["gRPC"] = GrpcListener(
            addresses,
            PredictionServicer(self._manager, self._predictor, recorder),
            ModelServicer(self._manager),
            max_calls=flags.grpc_max_threads or THREADS_PER_CPU * self._cpus,
            max_message_bytes=flags.max_message_bytes,
            options=self._grpc_options,
            health=flags.enable_grpc_healthcheck_service,
        )
        if not self._rest_port:
            return listeners
        app = create_app(
            self._manager,
            self._predictor,
            recorder,
            self._metrics.page,
            metrics_path=self._metrics_path,
            limits=RestLimits(flags.max_message_bytes, max(flags.rest_api_timeout_in_ms, 0) / 1000),
            executor=executor,
            cors=flags.rest_api_enable_cors_support,
        )
        listeners["REST"] = RestListener(
            self._host, self._rest_port, app, predictions=self._rest_threads, max_body_bytes=flags.max_message_bytes
        )
        return listeners

    def _serve(self) -> None:
        """Wait for ``STOP``, and meanwhile follow the configuration file."""
        wait_s = self._flags.model_config_file_poll_wait_seconds if self._flags.model_config_file else 0
        warning = None
        next_poll = time.monotonic() + wait_s
        while True:
            try:
                if self._events.get(timeout=max(next_poll - time.monotonic(), 0) if wait_s > 0 else None) == STOP:
                    return
            except Empty:
                next_poll = time.monotonic() + wait_s
                warning = self._reload(warning)

    def _reload(self, last_warning: str | None) -> str | None:
        """Apply the configuration file; return what is wrong with it, which is logged if it is not the last warning."""
        try:
            text = config.read_text(self._flags.model_config_file)
            self._manager.configure(config.parse_models(text))
        except ServingError as error:
            warning = str(error)
            if warning != last_warning:
                _LOGGER.error("the configuration stays as it was: %s", warning)
            return warning
        return None


def _arrangement(flags: Flags) -> Callable[[LoadedModel], LoadedModel]:
    """What makes the model that serves of one that the engine loaded."""
    if flags.enable_batching is None:
        return batched_where_it_pays
    if not flags.enable_batching:
        return lambda model: model
    path = flags.batching_parameters_file
    parameters = config.batching_parameters(config.read_text(path) if path else "")
    return lambda model: batched(model, parameters)


def _models(flags: Flags) -> list[config.ModelConfig]:
    if flags.model_config_file:
        return config.parse_models(config.read_text(flags.model_config_file))
    if not flags.model_base_path:
        raise invalid("Both --model_base_path and --model_config_file are empty!")
    return config.single_model(flags.model_name, flags.model_base_path)

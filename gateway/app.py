"""The Flask application, put together from its parts."""

from flask import Flask
from werkzeug.middleware.proxy_fix import ProxyFix

from gateway.canary.canary import Canary
from gateway.canary.classifiers import CanaryClassifier, CanaryPixelClassifier
from gateway.canary.shares import ShareFile, Shares
from gateway.classify.classifier import Classifier
from gateway.classify.pixels import PixelClassifier
from gateway.http import access_log, cors, errors, spans
from gateway.http.open_inference.routes import ClassifiesPixels, open_inference_routes
from gateway.http.openapi import openapi_routes
from gateway.http.pages import Pages, page_routes
from gateway.http.predict import Classifies, NoSlots, Slots, predict_routes
from gateway.http.served import Served
from gateway.http.status import status_routes
from gateway.images.addresses import Resolver
from gateway.images.from_request import ImageSource
from gateway.images.from_url import Fetcher
from gateway.metrics import Metrics
from gateway.model.client import ModelClient
from gateway.page.assets import read_assets
from gateway.settings import Settings
from tracing.spans import NO_TRACING, Tracing


def create_app(
    settings: Settings,
    model_client: ModelClient,
    metrics: Metrics | None = None,
    slots: Slots | None = None,
    canary_client: ModelClient | None = None,
    tracing: Tracing = NO_TRACING,
) -> Flask:
    """Make the gateway as a WSGI application; it opens no connection before its first request.

    Args:
        settings: The settings.
        model_client: Calls the model server.
        metrics: Counts what happens; None makes metrics of its own.
        slots: Bound how many requests fetch, or have heavy images, at a time; None bounds nothing.
        canary_client: Calls the model on trial; None where there is none.
        tracing: Makes the spans of requests.
    """
    app = Flask(__name__, static_folder=None)
    app.url_map.merge_slashes = False  # a path is right or not found: no redirect repeats the client's Host
    metrics = metrics or Metrics(settings.revision)
    if tracing.is_on:
        spans.register(app, tracing)
    access_log.register(app, metrics)
    errors.register(app, metrics)
    cors.register(app, settings.cors_origins)
    source = ImageSource(_create_fetcher(settings, metrics), settings.max_images, settings.max_body)
    of_files = Classifier(model_client, metrics, max_pixels=settings.max_pixels, decoders=settings.decoders)
    of_pixels = PixelClassifier(model_client, metrics)
    classifier: Classifies = of_files
    pixel_classifier: ClassifiesPixels = of_pixels
    canary = _create_canary(settings, canary_client, model_client, metrics) if canary_client else None
    if canary:
        classifier = CanaryClassifier(of_files, canary, metrics)
        pixel_classifier = CanaryPixelClassifier(of_pixels, canary, metrics)
    slots = slots or NoSlots()
    app.register_blueprint(predict_routes(source, classifier, metrics, settings.deadline, slots))
    served = Served(model_client, settings.model_name, canary)
    app.register_blueprint(open_inference_routes(served, classifier, pixel_classifier, metrics, settings, slots))
    pages = Pages(read_assets())
    app.register_blueprint(status_routes(model_client, metrics, pages, bool(settings.admin_bind)))
    app.register_blueprint(page_routes(pages, model_client))
    app.register_blueprint(openapi_routes())
    if hops := settings.trusted_hops:
        # Of the client's address nothing is made.
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=0, x_proto=hops, x_host=hops, x_prefix=hops)  # type: ignore[method-assign]
    metrics.follow_calls(model_client.calls, lambda: model_client.ejections)
    return app


def _create_canary(settings: Settings, client: ModelClient, stable: ModelClient, metrics: Metrics) -> Canary:
    shares = ShareFile(settings.canary_file).shares if settings.canary_file else Shares
    return Canary(client, stable, shares, metrics, requests=settings.max_in_flight, seconds=settings.deadline)


def _create_fetcher(settings: Settings, metrics: Metrics) -> Fetcher | None:
    if not settings.url_fetch:
        return None
    return Fetcher(
        Resolver(settings.url_allowed_networks),
        ports=settings.url_ports,
        max_bytes=settings.max_body,
        timeout=settings.url_timeout,
        ca_file=settings.url_ca_file,
        count=metrics.fetched,
    )

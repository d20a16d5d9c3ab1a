"""What gunicorn starts: ``gunicorn --config gateway/gunicorn.conf.py 'gateway.wsgi:create()'``."""

import os

from flask import Flask

from gateway.app import create_app
from gateway.model_client import ModelClient
from gateway.settings import Settings


def create() -> Flask:
    """The application with the environment's settings."""
    settings = Settings.from_env(os.environ)
    return create_app(settings, ModelClient(settings.model_server, settings.model_name))

"""Tokens on the command line: named by environment variables, so that they stand in no history and no process list."""

import os
from collections.abc import Sequence
from typing import Annotated

import typer

from ringback.model.errors import ConfigInvalid

TokenEnv = Annotated[
    list[str] | None,
    typer.Option(
        "--token-env",
        help="Environment variable that holds an auth token to verify or sign with; can be given several times.",
        show_default=False,
    ),
]


def tokens_of(variables: Sequence[str]) -> list[str]:
    """Return what the variables hold. Raises ``ConfigInvalid``."""
    tokens = []
    for variable in variables:
        if not (value := os.environ.get(variable, "").strip()):
            raise ConfigInvalid(f"the environment variable {variable} that --token-env names is not set, or is empty")
        tokens.append(value)
    return tokens

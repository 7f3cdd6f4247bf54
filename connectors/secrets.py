"""Where a secret of a connection is kept, never the secret itself.

Promises: a secret stands in a file or in a credential of systemd, is read when it is needed, is bounded, and is in no
error, no log and no `repr`. The same words as for suppliers (`marketplace.settings`), which this package may not know.
"""

from __future__ import annotations

import os
from gettext import gettext as _
from pathlib import Path
from typing import Annotated, Any, Final, Self

from pydantic import AfterValidator, Field, ValidationInfo, model_validator

from connectors.settings import Settings

BYTES_MAX: Final = 4096
"""The longest passphrase that a person would manage; what is longer is another file."""
CREDENTIALS: Final = "CREDENTIALS_DIRECTORY"
"""Where systemd shows a service its credentials (systemd.exec, LoadCredential=)."""


class SecretMissing(Exception):
    """A secret cannot be read; `str()` says where it was looked for, and why not."""


def _from_base(value: Path, info: ValidationInfo) -> Path:
    context = info.context
    return Path(context["base"]) / value if isinstance(context, dict) and "base" in context else value


FilePath = Annotated[Path, AfterValidator(_from_base)]
"""A file that a config names; relative to the config, which is given as `base` in the validation's context."""


class SecretReference(Settings):
    """Where a secret is kept: `{file: path}`, or `{credential: name}` of systemd."""

    file: FilePath | None = None
    credential: str | None = Field(default=None, pattern=r"^[A-Za-z0-9._-]{1,64}$")

    @model_validator(mode="before")
    @classmethod
    def _named_never_written(cls, value: Any) -> Any:
        if isinstance(value, str):
            raise ValueError(_("a secret is named, never written here: {file: path} or {credential: name}"))
        return value

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if (self.file is None) == (self.credential is None):
            raise ValueError(_("name either a file or a credential"))
        return self

    @property
    def place(self) -> Path:
        """The file that holds it. Raises `SecretMissing` for a credential without systemd."""
        if self.file is not None:
            return self.file
        directory = os.environ.get(CREDENTIALS)
        if not directory:
            text = _("the credential {name} needs systemd: {variable} is not set")
            raise SecretMissing(text.format(name=self.credential, variable=CREDENTIALS))
        return Path(directory) / str(self.credential)

    def read(self) -> str:
        """Return the secret without the line's end. Raises `SecretMissing`."""
        place = self.place
        try:
            with place.open("rb") as file:
                content = file.read(BYTES_MAX + 1)
            secret = content.decode().strip("\r\n")
        except OSError as error:
            text = _("the secret in {file} cannot be read: {reason}")
            raise SecretMissing(text.format(file=place, reason=error.strerror)) from None
        except UnicodeDecodeError:
            raise SecretMissing(_("the secret in {file} is not UTF-8 text").format(file=place)) from None
        if not secret or len(content) > BYTES_MAX or not secret.isprintable():
            text = _("the secret in {file} is empty, longer than a secret, or more than one line")
            raise SecretMissing(text.format(file=place))
        return secret

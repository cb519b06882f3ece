"""Passwords that nobody has to think of: made from a key that only the state has, in generations."""

from __future__ import annotations

import hashlib
import hmac

import pulumi
import pulumi_tls as tls
from pydantic import Field, model_validator

from components.inputs import combined, secret
from components.settings import Settings, refuse

_LENGTH = 43  # characters of hexadecimal digits: 172 bits


class PasswordSettings(Settings):
    """Generations of generated passwords.

    They change in three runs of `pulumi up`, and no client is ever refused: accept both (`current: 1,
    accepted: [1, 2]`), use the new one (`current: 2`), accept no other (`accepted: [2]`).

    Attributes:
        current: Generation in use, default 1.
        accepted: Generations that are let in, default the current one.
    """

    current: int = Field(default=1, ge=1)
    accepted: tuple[int, ...] = ()

    @property
    def generations(self) -> tuple[int, ...]:
        """Every generation that is let in, the one in use first."""
        return tuple(dict.fromkeys((self.current, *self.accepted)))

    @model_validator(mode="after")
    def _accepts_itself(self) -> PasswordSettings:
        if self.accepted and self.current not in self.accepted:
            text = f"{list(self.accepted)} lacks {self.current}, which is in use: add it"
            refuse([(("accepted",), text)])
        return self


class Passwords(pulumi.ComponentResource):
    """Passwords of one group of accounts.

    Attributes:
        settings: Their generations.
    """

    def __init__(self, name: str, settings: PasswordSettings, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("sealed-data-tier:passwords:Passwords", name, {"generation": settings.current}, opts)
        self.settings = settings
        self._key = tls.PrivateKey(f"{name}-key", algorithm="ED25519", opts=pulumi.ResourceOptions(parent=self))
        self.register_outputs({})

    def current(self, account: str) -> pulumi.Output[str]:
        """Return the password that an account uses (secret)."""
        return self._made(account, self.settings.current)

    def accepted(self, account: str) -> list[pulumi.Output[str]]:
        """Return every password that an account is let in with (secret), the one in use first."""
        return [self._made(account, generation) for generation in self.settings.generations]

    def _made(self, account: str, generation: int) -> pulumi.Output[str]:
        return derived(self._key, f"{account}/{generation}")


def derived(key: tls.PrivateKey, purpose: str) -> pulumi.Output[str]:
    """Return the password (secret) that a key makes for a purpose: the same one as long as there is that key."""

    def password(text: str) -> str:
        return hmac.new(text.encode(), purpose.encode(), hashlib.sha256).hexdigest()[:_LENGTH]

    return secret(combined(password, key.private_key_openssh))

"""Response bodies of accounts and sign-ins."""

from __future__ import annotations

from dataclasses import dataclass

from chatbill.application.accounts.set_second_factor import NewSecret
from chatbill.application.accounts.sign_in import SignedIn


@dataclass(frozen=True, slots=True, kw_only=True)
class TokensView:
    """A pair of tokens. The access token is valid for `expires_in` seconds."""

    access_token: str
    refresh_token: str
    token_type: str
    expires_in: int

    @classmethod
    def of(cls, signed_in: SignedIn) -> TokensView:
        """Return the view of a pair of tokens."""
        return cls(
            access_token=signed_in.access_token,
            refresh_token=signed_in.refresh_token,
            token_type="bearer",  # noqa: S106 - the scheme's name (RFC 6750), not a token
            expires_in=signed_in.expires_in_s,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretView:
    """A secret for an app: as text to type in, and as an address for a QR code."""

    secret: str
    otpauth: str

    @classmethod
    def of(cls, new: NewSecret) -> SecretView:
        """Return the view of a new secret."""
        return cls(secret=new.secret, otpauth=new.address)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoveryCodesView:
    """Recovery codes, each good once."""

    recovery_codes: list[str]

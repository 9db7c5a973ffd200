"""Settings of the releases."""

import base64
import secrets
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, PrivateAttr, SecretStr
from pydantic_settings import SettingsConfigDict

from klepaas.host import Host
from klepaas.settings import SettingsBase

if TYPE_CHECKING:
    from klepaas.store.keys import Keys

__all__ = ["ReleaseSettings", "Storage"]


class Storage(StrEnum):
    """In which kind of object new releases are recorded."""

    CONFIG_MAPS = "configmaps"
    SECRETS = "secrets"


class ReleaseSettings(SettingsBase):
    """How releases are kept; every field is `KLEPAAS_RELEASES_` and its name in upper case."""

    model_config = SettingsConfigDict(env_prefix="KLEPAAS_RELEASES_")

    keep: Annotated[
        int, Field(ge=2, le=200, description="Releases of an application that are kept, the last good one besides")
    ] = 20
    required: Annotated[
        bool, Field(description="Whether a change is refused where its release cannot be recorded in the cluster")
    ] = False
    max_parts: Annotated[
        int, Field(ge=1, le=32, description="Objects that one release may take, of about 0.9 MiB compressed each")
    ] = 8
    storage: Annotated[
        Storage,
        Field(
            description="Where releases are recorded: in ConfigMaps, with a keyed digest in place of each secret "
            "value, or in Secrets, with the values"
        ),
    ] = Storage.CONFIG_MAPS
    read_secrets: Annotated[
        bool,
        Field(
            description="Whether releases in Secrets, as earlier versions recorded them, are read where an application "
            "may have some"
        ),
    ] = True

    _keys: Any = PrivateAttr(default=None)

    @classmethod
    def of(cls, host: Host) -> "ReleaseSettings":
        """The host's own, read once."""
        return host.service(cls, _read)

    def with_keys(self, keys: "Keys") -> "ReleaseSettings":
        """The same settings, with keys for the digests.

        Args:
            keys: The keys.
        """
        copied = self.model_copy()
        copied._keys = keys
        return copied

    @property
    def keys(self) -> "Keys":
        """The keys of the digests: the store's; without a server around them, ones of this object's own."""
        if self._keys is None:
            from klepaas.store.keys import Keys

            drawn = base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()
            self._keys = Keys(Path(), SecretStr(drawn))
        keys: Keys = self._keys
        return keys


def _read(host: Host) -> ReleaseSettings:
    from klepaas.store.keys import Keys

    return ReleaseSettings().with_keys(Keys.of(host))

"""One container as the gateway uses it: calls in, and an end."""

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from trilemma.errors import SandboxError, SandboxLost

from .arrival import verify_arrival
from .base import CallResult, SandboxCall
from .channel import Channel
from .container import Settings
from .proc import MountPoint
from .spec import Mount, SandboxSpec
from .transport import First

_STOP_SECONDS = 10.0


class DockerSandbox:
    """One running, verified container."""

    def __init__(
        self,
        container: str,
        settings: Settings,
        channel: Channel,
        first: First,
        mounts: tuple[MountPoint, ...],
        destroy: Callable[[], None],
    ) -> None:
        self._container = container
        self._settings = settings
        self._channel = channel
        self._first = first
        self._mounts = mounts
        self._destroy: Callable[[], None] | None = destroy
        self._stopped = False
        self._closing = threading.Lock()

    @property
    def id(self) -> str:
        """Container id."""
        return self._container

    @property
    def spec(self) -> SandboxSpec:
        """What it was asked to be, and was verified to be."""
        return self._settings.spec

    @property
    def exchange(self) -> Path:
        """The host's folder that it sees, read-only, as ``/run/trilemma``."""
        return self._settings.exchange

    @property
    def uid(self) -> int:
        """The user it runs as."""
        return self._settings.uid

    @property
    def lost(self) -> bool:
        """Whether it is gone."""
        with self._closing:
            return self._stopped or self._first.ended

    def show(self, view: Mount) -> None:
        """Let it see the workspace that it was made for; see ``base.Sandbox``."""
        slot, spec = self._settings.slot, self._settings.spec
        if slot is None or spec.mount is None or not spec.mount.awaited:
            raise SandboxError("this sandbox awaits no workspace")
        settings = replace(self._settings, spec=replace(spec, mount=view))
        try:
            slot.put(view.source)
            # It tries the workspace while we look at it.
            self._channel.tell_mounted(view)
            verify_arrival(self._first.pid, self._mounts, self._channel.hear_mounted, settings)
        except BaseException:
            self.close()
            raise
        self._settings = settings

    def call(self, call: SandboxCall) -> CallResult:
        """Run one call and wait for it; see ``base.Sandbox``."""
        try:
            return self._channel.call(call)
        except SandboxLost:
            # Whatever still runs in there must not go on after its outcome became unknown.
            self.close()
            raise

    def cancel(self, call_id: str) -> None:
        """Kill a running call."""
        self._channel.cancel(call_id)

    def stop(self) -> None:
        """End everything in it, and take its workspace away; see ``base.Sandbox``."""
        with self._closing:
            if self._stopped:
                return
            self._stopped = True
            self._channel.close()
            self._first.end(_STOP_SECONDS)
            self._first.close()
            if self._settings.slot is not None:
                self._settings.slot.close()

    def close(self) -> None:
        """Destroy the container. Never raises; closing twice is fine."""
        self.stop()
        with self._closing:
            destroy, self._destroy = self._destroy, None
            if destroy is not None:
                destroy()

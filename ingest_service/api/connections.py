"""Who holds connections: so many per client address, and when all are taken, idle ones give way.

A connection that waits for a request costs a client nothing and would keep others out. So a client
at its limit loses its own connection that has been idle for the longest; at the limit of all, the
client with the most connections does. A new connection is refused only when every one that could
give way has a request under way.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final, Protocol

ANY: Final = "*"


class Connection(Protocol):
    """A connection that can be closed."""

    def give_way(self) -> None:
        """Close it; it has no request under way."""
        ...


@dataclass(slots=True)
class _Client:
    is_trusted: bool
    connections: set[Connection] = field(default_factory=set)
    idle: dict[Connection, None] = field(default_factory=dict)
    """Those that wait for a request, the longest first."""


class TrustedProxies:
    """Addresses and networks that many clients come from: `127.0.0.1,10.0.0.0/8`, or `*`."""

    def __init__(self, text: str) -> None:
        parts = [part.strip() for part in text.split(",") if part.strip()]
        self._is_any = ANY in parts
        self._networks = [ip_network(part, strict=False) for part in parts if part != ANY]

    def has(self, address: str) -> bool:
        """Whether an address is one of them."""
        if self._is_any:
            return True
        parsed = _parsed(address)
        return parsed is not None and any(parsed in network for network in self._networks)


class Connections:
    """The connections of a process. `on_drop` is told why one was closed or refused."""

    def __init__(
        self,
        total: int,
        per_client: int,
        proxies: TrustedProxies,
        on_drop: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._total = total
        self._per_client = per_client
        self._proxies = proxies
        self._on_drop = on_drop
        self._clients: dict[str, _Client] = {}
        self._of: dict[Connection, str] = {}

    def admit(self, connection: Connection, address: str) -> bool:
        """Count a new connection that waits for a request; False when there is no room for it."""
        name = client_of(address)
        client = self._clients.get(name)
        if client is None:
            client = _Client(self._proxies.has(address))
        if not client.is_trusted and len(client.connections) >= self._per_client:
            self._on_drop("client")
            if not self._drop_idle(client):
                return False
        if len(self._of) >= self._total:
            self._on_drop("total")
            if not any(self._drop_idle(other) for other in self._by_size()):
                return False
        self._clients[name] = client
        client.connections.add(connection)
        client.idle[connection] = None
        self._of[connection] = name
        return True

    def set_idle(self, connection: Connection, *, idle: bool) -> None:
        """Say whether a connection waits for a request."""
        name = self._of.get(connection)
        if name is None:
            return
        waiting = self._clients[name].idle
        waiting.pop(connection, None)
        if idle:
            waiting[connection] = None

    def leave(self, connection: Connection) -> None:
        """Forget a connection; it may be forgotten twice."""
        name = self._of.pop(connection, None)
        if name is None:
            return
        client = self._clients[name]
        client.connections.discard(connection)
        client.idle.pop(connection, None)
        if not client.connections:
            del self._clients[name]

    def _by_size(self) -> list[_Client]:
        """Who is asked to give way: who has the most first, proxies last."""
        return sorted(
            self._clients.values(), key=lambda one: (one.is_trusted, -len(one.connections))
        )

    def _drop_idle(self, client: _Client) -> bool:
        victim = next(iter(client.idle), None)
        if victim is None:
            return False
        self.leave(victim)
        victim.give_way()
        return True


def client_of(address: str) -> str:
    """Return whom an address belongs to: itself, or its /64 network, which is one client's."""
    parsed = _parsed(address)
    if isinstance(parsed, IPv6Address):
        return str(IPv6Network((int(parsed) >> 64 << 64, 64)))
    return address if parsed is None else str(parsed)


def _parsed(address: str) -> IPv4Address | IPv6Address | None:
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return None
    if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped is not None:
        return parsed.ipv4_mapped
    return parsed

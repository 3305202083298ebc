"""Connections: idle ones give way, and who holds many keeps nobody out."""

from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest_service.api.connections import Connections, TrustedProxies, client_of


class Line:
    """A connection that remembers whether it was closed."""

    is_closed = False

    def give_way(self) -> None:
        self.is_closed = True


def test_a_client_at_its_limit_loses_its_own_oldest_idle_connection() -> None:
    connections = Connections(100, 2, TrustedProxies(""))
    other, first, second, third = (Line() for _ in range(4))
    assert connections.admit(other, "10.0.0.9")
    for line in (first, second):
        assert connections.admit(line, "10.0.0.1")
    connections.set_idle(first, idle=False)
    connections.set_idle(first, idle=True)  # it has served a request: now the second waits longest
    assert connections.admit(third, "10.0.0.1")
    assert [line.is_closed for line in (other, first, second, third)] == [False, False, True, False]


def test_a_client_whose_connections_all_work_gets_no_more() -> None:
    drops: Counter[str] = Counter()
    connections = Connections(100, 2, TrustedProxies(""), lambda limit: drops.update([limit]))
    lines = [Line() for _ in range(3)]
    for line in lines[:2]:
        assert connections.admit(line, "10.0.0.1")
        connections.set_idle(line, idle=False)
    assert not connections.admit(lines[2], "10.0.0.1")
    assert drops == {"client": 1}
    connections.leave(lines[0])
    assert connections.admit(lines[2], "10.0.0.1")


def test_a_thousand_idle_connections_keep_nobody_out() -> None:
    connections = Connections(1_000, 250, TrustedProxies(""))
    idle = [Line() for _ in range(2_000)]
    assert all(connections.admit(line, f"10.0.0.{n % 7}") for n, line in enumerate(idle))
    assert connections.admit(Line(), "192.168.0.1")
    assert sum(not line.is_closed for line in idle) == 999


def test_a_proxy_may_have_all_but_what_others_need() -> None:
    connections = Connections(10, 2, TrustedProxies("127.0.0.1,10.0.0.0/8"))
    lines = [Line() for _ in range(10)]
    assert all(connections.admit(line, "10.1.2.3") for line in lines)
    assert not any(line.is_closed for line in lines)
    assert connections.admit(Line(), "192.168.0.1")
    assert [line.is_closed for line in lines].count(True) == 1


@pytest.mark.parametrize(
    ("address", "wanted"),
    [
        ("10.0.0.1", "10.0.0.1"),
        ("::ffff:10.0.0.1", "10.0.0.1"),
        ("2001:db8::1", "2001:db8::/64"),
        ("2001:db8::ffff:2", "2001:db8::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
        ("a socket", "a socket"),
    ],
)
def test_a_client_is_an_address_or_a_network(address: str, wanted: str) -> None:
    assert client_of(address) == wanted


@given(
    steps=st.lists(
        st.tuples(
            st.sampled_from(["open", "work", "wait", "close"]),
            st.integers(0, 30),
            st.sampled_from(["10.0.0.1", "10.0.0.2", "127.0.0.1"]),
        ),
        max_size=80,
    )
)
def test_limits_hold_and_nothing_that_works_is_closed(steps: list[tuple[str, int, str]]) -> None:
    """Property: whatever happens in whatever order."""
    connections: Any = Connections(6, 3, TrustedProxies("127.0.0.1"))
    lines: list[tuple[Line, str]] = []
    works: set[Line] = set()
    for kind, number, address in steps:
        lines = [one for one in lines if not one[0].is_closed]
        if kind == "open":
            line = Line()
            busy = [one for one in lines if one[0] in works]
            mine = [one for one in busy if one[1] == address]
            if connections.admit(line, address):
                lines.append((line, address))
            else:
                assert len(busy) == 6 or (len(mine) == 3 and address != "127.0.0.1")
        elif lines:
            line, _ = lines[number % len(lines)]
            if kind == "close":
                connections.leave(line)
                works.discard(line)
                lines = [one for one in lines if one[0] is not line]
            else:
                connections.set_idle(line, idle=kind == "wait")
                (works.add if kind == "work" else works.discard)(line)
        assert not any(line.is_closed for line in works)
        held = Counter(address for line, address in lines if not line.is_closed)
        assert held.total() <= 6
        assert all(held[address] <= 3 for address in ("10.0.0.1", "10.0.0.2"))

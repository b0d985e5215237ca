"""What the operator lets requests reach though it is not public."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network

from clawd.errors import Invalid, Refused
from clawd.fences import escaped
from clawd.net.addresses import Address, kind_of, plain
from clawd.net.urls import Target


@dataclass(frozen=True, slots=True)
class Allowed:
    """Networks, and hosts whatever they resolve to; nothing unless it is named."""

    networks: tuple[IPv4Network | IPv6Network, ...] = ()
    hosts: frozenset[str] = frozenset()

    @classmethod
    def of(cls, entries: Iterable[str]) -> Allowed:
        """From `tools.allowNets`: ``192.168.1.0/24``, ``10.0.0.5``, ``nas.lan``, ``*.lan``."""
        networks, hosts = [], set()
        for entry in entries:
            try:
                networks.append(ip_network(entry, strict=False))
            except ValueError:
                hosts.add(entry.lower().removesuffix("."))
        return cls(tuple(networks), frozenset(hosts))

    def covers(self, host: str, address: Address) -> bool:
        """Whether the host, or the address it has, is named."""
        _, _, parent = host.partition(".")
        while parent:
            if f"*.{parent}" in self.hosts:
                return True
            _, _, parent = parent.partition(".")
        return host in self.hosts or any(address in network for network in self.networks)

    def check(self, target: Target, addresses: Sequence[Address]) -> None:
        """``Refused`` (``blocked_address``) unless every one of the target's addresses will do.

        One that will and one that will not is how a name is turned against its asker.
        """
        for address in map(plain, addresses):
            kind = kind_of(address)
            if kind and not self.covers(target.host, address):
                raise Refused(
                    "blocked_address",
                    f"{escaped(target.written, '')} resolves to {kind} ({address})",
                    hint=f'only the operator can allow it: "{address}" in this session\'s '
                    "tools.allowNets in config.json",
                )
        if target.user:
            raise Invalid(
                "invalid_url",
                f"the address names a user before {target.host}",
                hint="leave out everything before and with the @",
            )

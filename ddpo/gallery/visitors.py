"""Who may read a gallery that is served: those who ask for it under its own address.

Any page on the web can make a browser ask the servers of its own machine: by a link or a picture,
or under a name of its own that it lets point here (DNS rebinding).
"""

from __future__ import annotations

import ipaddress
import socket
from email.message import Message

OWN_PAGES = ("same-origin", "none")
"""What `Sec-Fetch-Site` says of the gallery's own pages, and of an address that was typed."""


class Visitors:
    """The requests that a server may answer."""

    def __init__(self, host: str, address: str, port: int):
        """Name the address.

        Args:
            host: as the user named it.
            address: the number that it stands for.
            port: on which the server listens.
        """
        number = ipaddress.ip_address(address.partition("%")[0])
        self._port = port
        self._names = {bracketed(host).lower(), bracketed(address)}
        # On all addresses: numbers, since only names can be made to point here.
        self._any_number = number.is_unspecified
        if number.is_loopback or self._any_number:
            self._names.add("localhost")
        if self._any_number:
            self._names.add(socket.gethostname().lower())

    def admit(self, headers: Message) -> bool:
        """Whether a request with these headers is for this server, and of its own pages."""
        hosts = [host.lower() for host in headers.get_all("Host", [])]
        if len(hosts) != 1 or not self._is_own(hosts[0]):
            return False
        origins = {origin.lower() for origin in headers.get_all("Origin", [])}
        sites = headers.get_all("Sec-Fetch-Site", [])
        return origins <= {f"http://{hosts[0]}"} and all(site in OWN_PAGES for site in sites)

    def _is_own(self, host: str) -> bool:
        name = host.removesuffix(f":{self._port}")
        # Browsers leave out the port that is usual.
        if name == host and self._port != 80:
            return False
        return name in self._names or (self._any_number and _is_number(name))


def is_private(address: str) -> bool:
    """Whether only programs of this machine can reach an address."""
    return ipaddress.ip_address(address.partition("%")[0]).is_loopback


def bracketed(host: str) -> str:
    """A host as it stands in an address."""
    return f"[{host}]" if ":" in host else host


def _is_number(name: str) -> bool:
    try:
        ipaddress.ip_address(name.removeprefix("[").removesuffix("]"))
    except ValueError:
        return False
    return True

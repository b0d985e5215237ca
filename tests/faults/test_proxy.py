"""The TCP fault proxy: what a client of a model sees of each fault."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from clawd.testing.proxy import FaultProxy, TcpFault

ANSWER = b"0123456789" * 10


@pytest.fixture
async def proxy() -> AsyncIterator[FaultProxy]:
    """A proxy before a server that sends 100 bytes for each line, on kept connections."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.readline():
            writer.write(ANSWER)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server, FaultProxy(server.sockets[0].getsockname()[1]) as running:
        yield running


async def heard(proxy: FaultProxy, seconds: float = 0.2) -> tuple[bytes, str]:
    """What comes for one line, and how it ends."""
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    writer.write(b"go\n")
    data = b""
    try:
        async with asyncio.timeout(seconds):
            while len(data) < len(ANSWER):
                piece = await reader.read(1000)
                if not piece:
                    return data, "end"
                data += piece
            return data, "whole"
    except TimeoutError:
        return data, "silence"
    except ConnectionResetError:
        return data, "reset"
    finally:
        writer.transport.abort()


@pytest.mark.parametrize(
    ("fault", "most", "end"),
    [
        (TcpFault(), 100, "whole"),
        (TcpFault.late(0.05), 100, "whole"),
        (TcpFault.cut(30), 30, "end"),
        (TcpFault.hang(30), 30, "silence"),
        (TcpFault.hang(), 0, "silence"),
    ],
)
async def test_passes_so_much_and_then_goes_wrong(
    proxy: FaultProxy, fault: TcpFault, most: int, end: str
) -> None:
    """The bytes before the fault arrive unharmed, and nothing is left open behind the client."""
    proxy.fault = fault
    assert await heard(proxy) == (ANSWER[:most], end)
    assert proxy.done == {fault.kind: 1}
    await proxy.unused()


async def test_a_reset_is_a_reset(proxy: FaultProxy) -> None:
    """The client sees a torn connection, not the end of an answer."""
    proxy.fault = TcpFault.reset(30)
    data, end = await heard(proxy)
    assert ANSWER.startswith(data)
    assert end == "reset"


async def test_a_drip_is_slow_and_whole_in_the_end(proxy: FaultProxy) -> None:
    """Each byte takes its time: no single silence is long."""
    proxy.fault = TcpFault.drip(0.005, after=60)
    began = asyncio.get_running_loop().time()
    assert await heard(proxy, 5) == (ANSWER, "whole")
    assert asyncio.get_running_loop().time() - began >= 0.2


async def test_one_bit_is_flipped(proxy: FaultProxy) -> None:
    """One byte differs by one bit; all others are as they were."""
    proxy.fault = TcpFault.flip(7)
    data, end = await heard(proxy)
    assert end == "whole"
    assert [at for at in range(100) if data[at] != ANSWER[at]] == [7]


async def test_each_answer_on_a_connection_has_its_own_fault(proxy: FaultProxy) -> None:
    """Two requests on a kept connection: the first passes, the second is cut."""
    faults = iter([TcpFault(), TcpFault.cut(10)])
    proxy.choose = lambda: next(faults)
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    writer.write(b"go\n")
    assert await reader.readexactly(100) == ANSWER
    writer.write(b"go\n")
    assert await reader.read() == ANSWER[:10]
    writer.close()
    assert proxy.done == {"pass": 1, "cut": 1}
    await proxy.unused()

"""What passes on the loopback interface, captured by dumpcap and taken apart by tshark, which know nothing of us."""

import asyncio
import os
import re
import signal
import socket
import subprocess
import xml.etree.ElementTree as ET
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import msgspec
import pytest

LOOK_AGAIN_S: Final = 0.02
_CONTROL: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
WORST: Final = ("Warning", "Error")


class Dissected(msgspec.Struct, frozen=True):
    """One SMPP PDU as tshark shows it."""

    port: int
    """From which it came."""
    fields: dict[str, list[str]]
    complaints: tuple[str, ...]
    """What tshark finds wrong with it."""

    def __getitem__(self, name: str) -> str:
        """Return the one value of a field."""
        (value,) = self.fields[f"smpp.{name}"]
        return value

    @property
    def command(self) -> int:
        """Its command."""
        return int(self["command_id"], 16)


def need_capturing() -> None:
    """Skip where nothing can be captured, and say what is missing."""
    for program in ("dumpcap", "tshark"):
        if subprocess.run(["which", program], capture_output=True, check=False).returncode:
            pytest.fail(f"{program} is missing, install tshark: make system-packages")
    tried = subprocess.run(["dumpcap", "-q", "-i", "lo", "-c", "1", "-a", "duration:0", "-w", os.devnull],
                           capture_output=True, text=True, check=False, timeout=60)  # fmt: skip
    if tried.returncode:
        said = [line for line in tried.stderr.splitlines() if line.startswith("dumpcap: ")]
        pytest.skip(f"capturing takes root or CAP_NET_RAW and CAP_NET_ADMIN; {said[-1] if said else tried.stderr}")


@asynccontextmanager
async def captured(file: Path, port: int) -> AsyncIterator[None]:
    """Capture what passes to and from a TCP port, from the first packet in the block to the last."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as marker:
        marker.bind(("127.0.0.1", 0))
        filtered = f"tcp port {port} or udp port {marker.getsockname()[1]}"
        process = await asyncio.create_subprocess_exec(
            "dumpcap", "-q", "-i", "lo", "-f", filtered, "-w", str(file),
            stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        try:
            await _until_seen(marker, file, b"the capture begins")
            yield
            await _until_seen(marker, file, b"the capture ends")
        finally:
            process.send_signal(signal.SIGINT)
            await process.wait()


async def _until_seen(marker: socket.socket, file: Path, what: bytes) -> None:
    async with asyncio.timeout(60):
        while not _has(file, what):
            marker.sendto(what, marker.getsockname())
            await asyncio.sleep(LOOK_AGAIN_S)


def _has(file: Path, what: bytes) -> bool:
    return file.exists() and what in file.read_bytes()


def dissected(file: Path, port: int) -> list[Dissected]:
    """Have tshark take a capture apart; gives the PDUs in the order in which they passed."""
    command = ["tshark", "-r", str(file), "-d", f"tcp.port=={port},smpp", "-Y", "smpp || tcp.len > 0", "-T", "pdml"]
    shown = subprocess.run(command, capture_output=True, check=True, timeout=180).stdout
    # Texts are shown as they are, and XML has no place for what some of them contain.
    readable = _CONTROL.sub("?", shown.decode(errors="replace"))
    found = []
    for packet in ET.fromstring(readable).iter("packet"):  # noqa: S314 - tshark wrote it
        layers = {layer.get("name"): layer for layer in packet.iter("proto")}
        source = next(each.get("show", "") for each in layers["tcp"] if each.get("name") == "tcp.srcport")
        for layer in packet.iter("proto"):
            if layer.get("name") == "smpp":
                found.append(_pdu(layer, int(source)))
            elif layer.get("name") in {"_ws.malformed", "data"}:
                found.append(Dissected(int(source), {}, (layer.get("showname", ""),)))
    return found


def _pdu(layer: ET.Element, source: int) -> Dissected:
    fields: dict[str, list[str]] = {}
    complaints = []
    for field in layer.iter("field"):
        fields.setdefault(field.get("name", ""), []).append(field.get("show", ""))
        if field.get("name") == "_ws.expert" and any(word in field.get("showname", "") for word in WORST):
            complaints.append(field.get("showname", ""))
    return Dissected(source, fields, tuple(complaints))

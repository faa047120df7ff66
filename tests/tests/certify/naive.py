"""A feed handler of an afternoon: arbitrates two MoldUDP64 lines, knows nothing of this project.

Usage: naive.py A B, each ADDRESS:PORT, a group of 224.0.0.0/4 is joined on the loopback interface. It prints the
records of docs/certify.md. It believes every session that it hears of, which is its known fault.
"""
import ipaddress
import select
import socket
import struct
import sys
import time

HOLD = 0.1  # seconds that a hole is kept open


def listen(address):
    ip, port = address.rsplit(":", 1)
    line = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    line.bind((ip, int(port)))
    if ipaddress.ip_address(ip).is_multicast:
        member = socket.inet_aton(ip) + socket.inet_aton("127.0.0.1")
        line.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, member)
    return line


def blocks(packet, count):
    """The packet's messages, or None if they do not fill it exactly."""
    messages, at = [], 20
    for _ in range(count):
        if at + 2 > len(packet):
            return None
        length = struct.unpack_from(">H", packet, at)[0]
        messages.append(packet[at + 2 : at + 2 + length])
        at += 2 + length
    return messages if at == len(packet) else None


def say(*fields):
    print(*fields, sep=",", flush=True)


lines = [listen(address) for address in sys.argv[1:3]]
say("ready")
session, after, known, held, since, end = None, 1, 1, {}, None, None
while True:
    for line in select.select(lines, [], [], 0.005)[0]:
        packet = line.recv(65535)
        if len(packet) < 20:
            continue
        name, first, count = struct.unpack_from(">10sQH", packet)
        messages = blocks(packet, 0 if count == 0xFFFF else count)
        if messages is None or first + len(messages) >= 1 << 64:
            continue
        if name != session:
            session, after, known, held, since, end = name, first, first, {}, None, None
            say("reset", name.decode("ascii", "replace"), first)
        for number, message in enumerate(messages, first):
            if number >= after:
                held.setdefault(number, message)
        known = max(known, first + len(messages))
        if count == 0xFFFF and end is None:
            end = first
    while after in held or after < known:
        if after in held:
            message = held.pop(after)
            stamp = int.from_bytes(message[5:11], "big")
            say("message", session.decode(), after, chr(message[0]), stamp)
            after, since = after + 1, None
            continue
        since = since or time.monotonic()
        if time.monotonic() < since + HOLD:
            break
        behind = min(held, default=known)
        say("gap", session.decode(), after, behind - 1)
        after, since = behind, None
    if end is not None and end == after:
        say("end", session.decode(), end)
        end = -1

"""The publish loop against a server of which every answer is in the test's hand."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any

import pytest
from asyncua import ua
from asyncua.common.utils import Buffer
from asyncua.ua.ua_binary import struct_to_binary

from connectors.connector import ConnectionLost
from connectors.opcua.continuity import KeptSubscription
from connectors.opcua.decode import Message
from connectors.opcua.publishing import AHEAD, NUMBERS, Publishing, SubscriptionGone
from tests.unit.connectors.opcua.test_decode import changed, data, response

GONE = ua.StatusChangeNotification(Status=ua.StatusCode(ua.UInt32(0x800A0000)))


class Server:
    """Takes requests; answers publish requests in their turn, and republishes what it still has."""

    def __init__(self, *answers: bytes) -> None:
        self.asked: list[Any] = []
        self.has: dict[int, bytes] = {}
        self.open = True
        self._answers = deque(answers)
        self._waiting: deque[asyncio.Future[Buffer]] = deque()

    def _send_request(self, request: Any, _timeout: float) -> asyncio.Future[Buffer]:
        if not self.open:
            raise ConnectionError("closed")
        self.asked.append(request)
        answer: asyncio.Future[Buffer] = asyncio.get_running_loop().create_future()
        if isinstance(request, ua.RepublishRequest):
            number = int(request.Parameters.RetransmitSequenceNumber)
            answer.set_result(Buffer(self.has.get(number, fault(0x807B0000))))
        elif self._answers:
            answer.set_result(Buffer(self._answers.popleft()))
        else:
            self._waiting.append(answer)
        return answer

    def publish(self, answer: bytes) -> None:
        self._waiting.popleft().set_result(Buffer(answer))

    def die(self) -> None:
        self._waiting.popleft().set_exception(ConnectionError("connection lost"))

    @property
    def acknowledged(self) -> list[int]:
        published = [each for each in self.asked if isinstance(each, ua.PublishRequest)]
        return [int(a.SequenceNumber) for each in published for a in each.Parameters.SubscriptionAcknowledgements]


def fault(code: int) -> bytes:
    header = ua.ResponseHeader(ServiceResult=ua.StatusCode(ua.UInt32(code)))
    return bytes(struct_to_binary(ua.ServiceFault(ResponseHeader=header)))


def message(number: int) -> bytes:
    return response(changed([data(float(number))]), number=number)


def republished(number: int) -> bytes:
    answer = ua.RepublishResponse()
    answer.NotificationMessage.SequenceNumber = ua.UInt32(number)
    answer.NotificationMessage.NotificationData = [changed([data(float(number))])]
    return bytes(struct_to_binary(answer))


def publishing(server: Server, last: int = 0, silence_s: float = 5.0) -> Publishing:
    return Publishing(server, KeptSubscription(7, 0.1, 2.0, number=last), silence_s)  # type: ignore[arg-type]


async def taken(loop: Publishing, count: int) -> list[int]:
    numbers: list[int] = []
    for _ in range(count):
        numbers += [each.number for each in await loop.next()]
    loop.close()
    return numbers


async def test_the_server_never_waits_for_a_request_and_each_message_is_acknowledged_once():
    server = Server(message(1), message(2), message(3))
    loop = publishing(server)
    assert await taken(loop, 3) == [1, 2, 3]
    assert len(server.asked) == AHEAD + 2
    assert server.acknowledged == [1, 2]


async def test_a_slow_reader_slows_the_server():
    server = Server(*(message(n) for n in range(1, 10)))
    loop = publishing(server)
    await loop.next()
    assert len(server.asked) == AHEAD
    loop.close()


async def test_what_is_missing_is_asked_for_again_and_comes_in_its_place():
    server = Server(message(1), message(4))
    server.has = {2: republished(2), 3: republished(3)}
    loop = publishing(server)
    assert await taken(loop, 2) == [1, 2, 3, 4]
    assert (loop.tally.republished, loop.tally.missed, loop.tally.gaps) == (2, 0, 1)


async def test_a_keep_alive_shows_what_is_missing_and_takes_no_number():
    server = Server(message(1), response(number=3), message(3), response(number=4))
    server.has = {2: republished(2)}
    loop = publishing(server)
    assert await taken(loop, 4) == [1, 2, 3]
    assert (loop.tally.republished, loop.tally.missed) == (1, 0)


async def test_what_the_server_no_longer_has_is_counted():
    server = Server(message(1), message(5))
    server.has = {4: republished(4)}
    loop = publishing(server)
    assert await taken(loop, 2) == [1, 4, 5]
    assert (loop.tally.republished, loop.tally.missed) == (1, 2)


async def test_a_server_that_lies_about_a_gap_costs_a_bounded_number_of_questions():
    server = Server(message(1), message(2_000_000_000))
    loop = publishing(server)
    assert await taken(loop, 2) == [1, 2_000_000_000]
    assert len(server.asked) < 1_100
    assert loop.tally.missed == 2_000_000_000 - 2


async def test_numbers_begin_again_behind_the_last_and_a_repetition_is_no_gap():
    server = Server(message(NUMBERS), message(1), message(1), message(2))
    loop = publishing(server, last=NUMBERS - 1)
    assert await taken(loop, 4) == [NUMBERS, 1, 2]
    assert loop.tally.gaps == 0


async def test_a_message_that_cannot_be_decoded_is_asked_for_again():
    server = Server(message(1), message(2)[:-9] + b"\xff" * 9, message(3))
    broken = bytearray(message(2))
    broken[4 + 24 + 4 + 4 + 1 + 12] = 0x7F  # the number of its notifications
    server._answers[1] = bytes(broken)
    server.has = {2: republished(2)}
    loop = publishing(server)
    assert await taken(loop, 3) == [1, 2, 3]
    assert (loop.tally.malformed, loop.tally.missed) == (1, 0)


async def test_messages_of_another_subscription_are_none_of_ours():
    server = Server(response(changed([data(1.0)]), number=40, subscription=6), message(1))
    assert await taken(publishing(server), 2) == [1]


async def test_a_server_that_takes_fewer_requests_gets_fewer():
    server = Server(fault(0x80780000), fault(0x80780000), message(1), message(2), message(3))
    loop = publishing(server)
    assert await taken(loop, 5) == [1, 2, 3]
    assert len(server.asked) == 5


@pytest.mark.parametrize("code", [0x80790000, 0x80280000])
async def test_a_subscription_that_is_gone_has_to_be_made_anew(code: int):
    loop = publishing(Server(fault(code)))
    with pytest.raises(SubscriptionGone, match="Bad"):
        await loop.next()
    loop.close()


async def test_an_end_is_told_behind_the_messages_before_it():
    server = Server(message(1), response(GONE, number=2))
    loop = publishing(server)
    assert [each.number for each in await loop.next()] == [1]
    with pytest.raises(SubscriptionGone, match="BadTimeout"):
        await loop.next()
    loop.close()


@pytest.mark.parametrize("code", [0x80250000, 0x80020000])
async def test_any_other_fault_ends_the_conversation(code: int):
    loop = publishing(Server(fault(code)))
    with pytest.raises(ConnectionLost) as caught:
        await loop.next()
    assert type(caught.value) is ConnectionLost
    loop.close()


async def test_a_request_that_ran_out_is_made_again():
    assert await taken(publishing(Server(fault(0x800A0000), message(1))), 2) == [1]


async def test_a_silent_server_is_lost_and_one_that_hangs_up_too():
    server = Server()
    loop = publishing(server, silence_s=0.01)
    with pytest.raises(ConnectionLost, match="silent"):
        await loop.next()
    server.die()
    with pytest.raises(ConnectionLost, match="stopped answering"):
        await loop.next()
    server.open = False
    with pytest.raises(ConnectionLost, match="closed"):
        await loop.next()
    assert not loop.heard
    loop.close()


async def test_what_came_before_the_end_is_delivered_first():
    server = Server(message(1))
    loop = publishing(server)
    server_messages: list[Message] = await loop.next()
    server.die()
    assert [each.number for each in server_messages] == [1]
    with pytest.raises(ConnectionLost):
        await loop.next()
    loop.close()

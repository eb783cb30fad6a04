"""What MQTT 5.0 added, with paho-mqtt."""

import time

from paho_support import PATIENCE, PacketTypes, Peer, SubscribeOptions, expect, main, properties


def end_to_end(port):
    """The properties of a PUBLISH reach the subscriber unaltered, user properties in order with their repetitions."""
    subscriber = Peer(port, "5")
    subscriber.connect()
    subscriber.subscribe(("p", 2))
    users = [("b", "2"), ("a", "1"), ("b", "2"), ("", "empty key"), ("ключ", "значение")]
    for qos in (0, 1, 2):
        subscriber.publish("p", "ünï", qos, PayloadFormatIndicator=1, ContentType="text/plain; charset=utf-8",
                           ResponseTopic="r/t", CorrelationData=b"\x00\xff\x01", UserProperty=users)
        got = subscriber.message().properties
        expect(got.PayloadFormatIndicator, 1)
        expect(got.ContentType, "text/plain; charset=utf-8")
        expect(got.ResponseTopic, "r/t")
        expect(got.CorrelationData, b"\x00\xff\x01")
        expect(got.UserProperty, users)
        expect(hasattr(got, "TopicAlias") or hasattr(got, "MessageExpiryInterval"), False, "added properties")


def request_response(port):
    """A service answers to the response topic with the correlation data it was given."""
    service = Peer(port, "5")
    service.connect()
    service.subscribe(("square", 1))

    def answer(client, _userdata, message):
        back = properties(PacketTypes.PUBLISH, CorrelationData=message.properties.CorrelationData)
        client.publish(message.properties.ResponseTopic, str(int(message.payload) ** 2), 1, properties=back)

    service.client.on_message = answer
    asker = Peer(port, "5")
    asker.connect()
    asker.subscribe(("answers/7", 1))
    for n in range(20):
        asker.publish("square", str(n), 1, ResponseTopic="answers/7", CorrelationData=bytes([n]))
    for n in range(20):
        got = asker.message()
        expect((got.payload, got.properties.CorrelationData), (str(n * n).encode(), bytes([n])))


def message_expiry(port):
    """A waiting message tells what is left of its life, and one whose life is over never comes."""
    keep = properties(PacketTypes.CONNECT, SessionExpiryInterval=600)
    keeper = Peer(port, "5", "expiry", clean=False, connect_properties=keep)
    keeper.connect()
    keeper.subscribe(("e/#", 1))
    keeper.disconnect()
    publisher = Peer(port, "5")
    publisher.connect()
    publisher.publish("e/short", "gone", 1, MessageExpiryInterval=1)
    publisher.publish("e/long", "kept", 1, MessageExpiryInterval=100)
    publisher.publish("e/retained", "gone", 1, retain=True, MessageExpiryInterval=1)
    publisher.publish("e/forever", "kept", 1)
    time.sleep(2.2)  # the time that is measured here is the broker's
    back = Peer(port, "5", "expiry", clean=False, connect_properties=keep)
    back.connect()
    got = back.message()
    expect(got.topic, "e/long")
    left = got.properties.MessageExpiryInterval
    expect(90 <= left <= 98, True, f"left of 100 s after 2.2 s: {left}")
    got = back.message()
    expect((got.topic, hasattr(got.properties, "MessageExpiryInterval")), ("e/forever", False))
    late = Peer(port, "5")
    late.connect()
    late.subscribe(("e/retained", 1), ("e/end", 1))
    publisher.publish("e/end", "", 1)
    expect(late.text(), "e/end|1|0|")


def subscription_identifiers(port):
    """Each message carries the identifiers of the subscriptions it matches."""
    peer = Peer(port, "5")
    peer.connect()
    for topic, identifier in (("s/+", 1), ("s/a", 268_435_455), ("other", 3)):
        peer.subscribe((topic, SubscribeOptions(qos=1)), properties=properties(PacketTypes.SUBSCRIBE, SubscriptionIdentifier=identifier))
    peer.subscribe(("none", 1))
    for topic, wanted in (("s/b", [1]), ("s/a", [1, 268_435_455]), ("other", [3]), ("none", [])):
        peer.publish(topic, "x", 1)
        got = set()
        copies = 0
        while got != set(wanted) or copies == 0:
            message = peer.message()  # one copy with all identifiers, or one copy for each subscription
            expect(message.topic, topic)
            got |= set(getattr(message.properties, "SubscriptionIdentifier", []))
            copies += 1


def topic_alias(port):
    """The client's topic aliases stand for the topic, may change it, and the broker announces how many there may be."""
    subscriber = Peer(port, "5")
    subscriber.connect()
    subscriber.subscribe(("a/#", 2))
    publisher = Peer(port, "5")
    _, connack = publisher.connect()
    expect(connack.TopicAliasMaximum > 0, True, "Topic Alias Maximum")
    for topic, sent, alias in (("a/1", "a/1", 1), ("a/2", "a/2", 2), ("a/1", "", 1), ("a/2", "", 2), ("a/3", "a/3", 1), ("a/3", "", 1)):
        for qos in (0, 1, 2):
            publisher.publish(sent, "via alias", qos, TopicAlias=alias)
            expect(subscriber.text(), f"{topic}|{qos}|0|via alias")


def subscribe_options(port):
    """No Local, Retain As Published and Retain Handling do what they say."""
    peer = Peer(port, "5")
    peer.connect()
    other = Peer(port, "5")
    other.connect()
    peer.subscribe(("o/local", SubscribeOptions(qos=1, noLocal=True)), ("o/rap", SubscribeOptions(qos=1, retainAsPublished=True)))
    peer.publish("o/local", "mine", 1)
    other.publish("o/local", "yours", 1)
    expect(peer.text(), "o/local|1|0|yours")
    other.publish("o/rap", "flag", 1, retain=True)
    expect(peer.text(), "o/rap|1|1|flag")
    for handling, times in ((0, 2), (1, 1), (2, 0)):
        reader = Peer(port, "5")
        reader.connect()
        for _ in range(2):
            reader.subscribe(("o/rap", SubscribeOptions(qos=1, retainHandling=handling)))
        reader.subscribe(("o/end", 1))
        other.publish("o/end", "", 1)
        got = []
        while (text := reader.text()) != "o/end|1|0|":
            got.append(text)
        expect(got, ["o/rap|1|1|flag"] * times, f"retain handling {handling}")


def session_expiry(port):
    """The client's DISCONNECT may set a session expiry of its own; a session whose time is over is gone."""
    long = properties(PacketTypes.CONNECT, SessionExpiryInterval=600)
    peer = Peer(port, "5", "expiring", clean=False, connect_properties=long)
    peer.connect()
    peer.subscribe(("x", 1))
    peer.disconnect(SessionExpiryInterval=1)
    time.sleep(2.2)  # the time that is measured here is the broker's
    back = Peer(port, "5", "expiring", clean=False, connect_properties=long)
    flags, _ = back.connect()
    expect(flags.session_present, False, "session present after its expiry")
    back.disconnect()
    again = Peer(port, "5", "expiring", clean=False, connect_properties=long)
    flags, _ = again.connect()
    expect(flags.session_present, True, "session present before its expiry")


def assigned_client_id(port):
    """A client without an id is given a unique one, and may come back with it."""
    ids = []
    for _ in range(3):
        peer = Peer(port, "5", connect_properties=properties(PacketTypes.CONNECT, SessionExpiryInterval=60))
        _, connack = peer.connect()
        ids.append(connack.AssignedClientIdentifier)
        peer.disconnect()
    expect(len(set(ids)), 3, f"distinct ids in {ids}")
    back = Peer(port, "5", ids[0], clean=False)
    flags, connack = back.connect()
    expect(flags.session_present, True, "session of the assigned id")
    expect(hasattr(connack, "AssignedClientIdentifier"), False, "an id assigned to a client that has one")


def shared(port):
    """The members of a share divide its messages."""
    members = [Peer(port, "5") for _ in range(3)]
    for member in members:
        member.connect()
        expect(member.subscribe(("$share/g/j/+", 1)), [1])
    publisher = Peer(port, "5")
    publisher.connect()
    for n in range(30):
        publisher.publish(f"j/{n}", str(n), 1)
    got = []
    deadline = time.monotonic() + PATIENCE
    while len(got) < 30 and time.monotonic() < deadline:
        for member in members:
            while not member.messages.empty():
                got.append(int(member.messages.get().payload))
        time.sleep(0.01)
    expect(sorted(got), list(range(30)))


main({f.__name__: f for f in (end_to_end, request_response, message_expiry, subscription_identifiers, topic_alias,
                               subscribe_options, session_expiry, assigned_client_id, shared)})
